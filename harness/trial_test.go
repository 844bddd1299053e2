package harness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// The trial is a suite of this test binary, run by the tests in a process of
// its own: what the environment names says what its specs do.
const (
	trialEnv  = "PBSDRILL_TRIAL"
	secretEnv = "PBSDRILL_TRIAL_SECRET"
)

func TestTrial(t *testing.T) {
	name := os.Getenv(trialEnv)
	if name == "" {
		t.Skip("runs in a process of its own")
	}
	drivers["netns"] = paperUp
	if name == "no-lab" {
		drivers["netns"] = func(context.Context, *topology.Site, Options) (topology.Lab, error) {
			return nil, errors.New("no user namespaces here")
		}
	}
	trials[name]()
	RunSuite(t, "firewall", Minimum(2))
}

func holds(name string) {
	ginkgo.It(name, func() { Promise("reach"); Judged(1); Rows(aRow("open")) })
}

func aRow(saw string) evidence.Row {
	return evidence.Row{Promise: "reach", From: "a", To: "b", Over: "lan", Service: "ssh", Family: "ipv4", Want: "open", Saw: saw, Met: saw == "open", Why: "as it is"}
}

func aFinding() evidence.Finding {
	return evidence.Finding{
		Promise: "reach", Title: "a reaches b", Flow: "a -> b over lan ssh ipv4", Address: "10.0.0.2:22", Expected: "open", Seen: "dropped",
		Cause: "b:/etc/nftables.conf:3", Node: "b",
	}
}

// trials declare specs. A top-level container would be the parent's as well,
// so they are called in the child alone.
var trials = map[string]func(){
	"held":    func() { holds("holds") },
	"two":     func() { holds("holds"); holds("holds too") },
	"slow":    func() { holds("holds"); ginkgo.It("waits", ginkgo.Label("slow"), func() {}) },
	"minimum": func() { ginkgo.It("judges too little", func() { Judged(1) }) },
	"finding": func() {
		holds("holds")
		ginkgo.It("finds", func(ctx ginkgo.SpecContext) {
			NewLab(ctx)
			Rows(aRow("dropped"))
			Report(aFinding())
		})
	},
	"waived": func() {
		ginkgo.It("finds what is waived", func() { Judged(1); Rows(aRow("dropped")); Report(aFinding()) })
	},
	"unmet":   func() { ginkgo.It("says nothing of what it saw", func() { Judged(1); Rows(aRow("refused")) }) },
	"unknown": func() { holds("holds"); ginkgo.It("cannot tell", func() { Rows(aRow("unknown")) }) },
	"untested": func() {
		holds("holds")
		ginkgo.It("cannot", func() { CouldNotTest("there is no %s", "tun") })
	},
	"no-lab": func() { holds("holds"); ginkgo.It("needs a lab", func(ctx ginkgo.SpecContext) { NewLab(ctx) }) },
	"shared": func() {
		for _, name := range []string{"asks the shared lab", "asks it again"} {
			ginkgo.It(name, func(ctx ginkgo.SpecContext) {
				gomega.Expect(os.Getpid()).NotTo(gomega.BeZero())
				Judged(1)
				fmt.Println("lab", SharedLab(ctx).(*paperLab).number)
			})
		}
	},
	"skip":      func() { holds("holds"); ginkgo.It("needs more", func() { ginkgo.Skip("no netem here") }) },
	"panic":     func() { holds("holds"); ginkgo.It("panics", func() { panic("oh") }) },
	"assertion": func() { holds("holds"); ginkgo.It("asserts", func() { gomega.Expect(1).To(gomega.Equal(2)) }) },
	"setup": func() {
		holds("holds")
		ginkgo.Describe("with a set-up", func() {
			ginkgo.BeforeEach(func() { gomega.Expect("a").To(gomega.Equal("b")) })
			ginkgo.It("never runs", func() {})
		})
	},
	"label": func() { holds("holds"); ginkgo.It("is misspelt", ginkgo.Label("slwo"), func() {}) },
	"wait": func() {
		ginkgo.Describe("in order", ginkgo.Ordered, func() {
			holds("holds")
			ginkgo.It("waits", func(ctx ginkgo.SpecContext) {
				NewLab(ctx)
				fmt.Println("waiting")
				<-ctx.Done()
			})
			holds("comes later")
		})
	},
	"leak": func() {
		holds("holds")
		ginkgo.It("leaks", func(ctx ginkgo.SpecContext) {
			secret := os.Getenv(secretEnv)
			lab := NewLab(ctx)
			node, err := lab.Node("a")
			gomega.Expect(err).NotTo(gomega.HaveOccurred())
			_, err = node.Run(ctx, topology.Command{Argv: []string{"echo", secret}, Env: []string{"X=" + secret}})
			gomega.Expect(err).NotTo(gomega.HaveOccurred())
			f := aFinding()
			f.Detail = secret
			Report(f)
			gomega.Expect(secret).To(gomega.BeEmpty())
		})
	},
}

// A paperLab is a lab that is up and knows nothing.
type paperLab struct {
	site    *topology.Site
	options Options
	number  int
}

var labsUp int

func paperUp(_ context.Context, site *topology.Site, o Options) (topology.Lab, error) {
	labsUp++
	fmt.Println("a lab comes up")
	if secret := os.Getenv(secretEnv); secret != "" {
		o.Secret(secret)
	}
	return &paperLab{site, o, labsUp}, nil
}

func (l *paperLab) Site() *topology.Site { return l.site }
func (l *paperLab) Facts() topology.Facts {
	return topology.Facts{Driver: "paper", Boot: "none"}
}
func (l *paperLab) Down(context.Context) error { fmt.Println("a lab goes down"); return nil }
func (l *paperLab) Node(name string) (topology.Node, error) {
	return paperNode{l, name}, nil
}

type paperNode struct {
	lab  *paperLab
	name string
}

func (n paperNode) Name() string { return n.name }
func (n paperNode) Run(_ context.Context, c topology.Command) (topology.Result, error) {
	r := topology.Result{Stdout: []byte(strings.Join(c.Argv, " ") + "\n" + os.Getenv(secretEnv) + "\n")}
	n.lab.options.Recorder.Command(n.name, c, r, nil)
	return r, nil
}
func (n paperNode) Get(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (n paperNode) Put(context.Context, string, io.Reader, fs.FileMode) error {
	return errors.ErrUnsupported
}
func (n paperNode) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// trial is how a run of the trial suite went.
type trial struct {
	t      *testing.T
	dir    string // the run's folder
	output string
	passed bool
	run    evidence.Run
	specs  []evidence.Spec
}

const waiverUntil = "2099-12-31"

// siteFolder is a site of two nodes with one waiver.
func siteFolder(t *testing.T, until string) string {
	t.Helper()
	dir := t.TempDir()
	text := "site: trial\nnetworks:\n  lan: {ipv4: 10.0.0.0/24}\nnodes:\n" +
		"  a: {role: client, on: {lan: 10.0.0.1}}\n  b: {role: server, on: {lan: 10.0.0.2}}\n" +
		"promises:\n  reach:\n    - a -> b over lan: [ssh]\n"
	if until != "" {
		text += "waivers:\n  - {promise: reach, flow: a -> b over lan ssh ipv4, seen: dropped, cause: \"b:/etc/nftables.conf:3\", because: as published, until: " + until + "}\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], append([]string{"-test.run=^TestTrial$", "-ginkgo.seed=7", "-ginkgo.no-color"}, args...)...)
	c.Env = append(os.Environ(), trialEnv+"="+name)
	return c
}

// try runs a trial to its end.
func try(t *testing.T, name, site string, args ...string) trial {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	c := command(t, name, append([]string{"-site=" + site, "-run-dir=" + dir}, args...)...)
	out, err := c.CombinedOutput()
	return read(t, dir, string(out), err)
}

func read(t *testing.T, dir, output string, err error) trial {
	t.Helper()
	r := trial{t: t, dir: dir, output: output, passed: err == nil}
	if _, statErr := os.Stat(filepath.Join(dir, "run.json")); statErr == nil {
		if r.run, r.specs, err = evidence.Read(dir); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	return r
}

func (r trial) wants(code evidence.Code, says ...string) {
	r.t.Helper()
	if r.passed != (code == evidence.CodeHeld) {
		r.t.Errorf("passed: %v", r.passed)
	}
	lines := strings.Split(strings.TrimSpace(r.output), "\n")
	last := ""
	for _, line := range lines {
		if line != "PASS" && line != "FAIL" && !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "coverage:") && strings.TrimSpace(line) != "" {
			last = line
		}
	}
	if want := fmt.Sprintf("%s (%d)", code, int(code)); last != want {
		r.t.Errorf("the last line is %q, want %q", last, want)
	}
	for _, text := range says {
		if !strings.Contains(r.output, text) {
			r.t.Errorf("the output does not say %q", text)
		}
	}
	for _, name := range []string{"report.html", "report.json", "junit.xml"} {
		if _, err := os.Stat(filepath.Join(r.dir, name)); err != nil {
			r.t.Error(err)
		}
	}
	if r.t.Failed() {
		r.t.Logf("output:\n%s\nspecs: %+v", r.output, r.specs)
	}
}

func (r trial) state(name string) evidence.Spec {
	r.t.Helper()
	for _, s := range r.specs {
		if s.Name == name || strings.HasSuffix(s.Name, " "+name) {
			return s
		}
	}
	r.t.Errorf("no record of %q", name)
	return evidence.Spec{}
}

// waitFor reads a process's output up to a line, and goes on reading.
func waitFor(t *testing.T, out io.Reader, line string, rest *bytes.Buffer) (done chan struct{}) {
	t.Helper()
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadString('\n')
		rest.WriteString(text)
		if strings.Contains(text, line) {
			break
		}
		if err != nil {
			t.Fatalf("%q never came: %v\n%s", line, err, rest)
		}
	}
	done = make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(rest, lines) }()
	return done
}
