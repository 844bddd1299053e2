package harness

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/report"
)

func TestWhatARunComesTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trial string
		args  []string
		code  evidence.Code
		spec  string
		state evidence.State
		says  string
	}{
		{trial: "held", code: evidence.CodeHeld, spec: "holds", state: evidence.Held, says: "seed 7"},
		{trial: "finding", code: evidence.CodeFailed, spec: "finds", state: evidence.Failed, says: "flow      a → b 10.0.0.2:22 ssh"},
		{trial: "unmet", code: evidence.CodeFailed, spec: "says nothing of what it saw", state: evidence.Failed, says: "promised open, seen refused"},
		{trial: "assertion", code: evidence.CodeFailed, spec: "asserts", state: evidence.Failed},
		{trial: "unknown", code: evidence.CodeCouldNotTest, spec: "cannot tell", state: evidence.CouldNotTest},
		{trial: "untested", code: evidence.CodeCouldNotTest, spec: "cannot", state: evidence.CouldNotTest, says: "there is no tun"},
		{trial: "no-lab", code: evidence.CodeCouldNotTest, spec: "needs a lab", state: evidence.CouldNotTest, says: "no user namespaces here"},
		{trial: "panic", code: evidence.CodeCouldNotTest, spec: "panics", state: evidence.CouldNotTest},
		{trial: "setup", code: evidence.CodeCouldNotTest, spec: "never runs", state: evidence.CouldNotTest},
		{trial: "label", code: evidence.CodeCouldNotTest, spec: "is misspelt", state: evidence.CouldNotTest, says: `label "slwo" is not known`},
		{trial: "minimum", code: evidence.CodeCouldNotTest, spec: "judges too little", state: evidence.Held, says: "judged 1 flow; at least 2"},
		{trial: "skip", code: evidence.CodeHeld, spec: "needs more", state: evidence.Skipped},
		{trial: "slow", args: []string{"-ginkgo.label-filter=!slow"}, code: evidence.CodeHeld, spec: "waits", state: evidence.Skipped},
		{trial: "two", args: []string{"-ginkgo.focus=too"}, code: evidence.CodeHeld, spec: "holds", state: evidence.Skipped},
		{trial: "held", args: []string{"-ginkgo.label-filter=tunnel"}, code: evidence.CodeCouldNotTest, spec: "holds", state: evidence.Skipped, says: "no spec matches the filter tunnel"},
	} {
		t.Run(c.trial+strings.Join(c.args, " "), func(t *testing.T) {
			r := try(t, c.trial, siteFolder(t, ""), c.args...)
			r.wants(c.code, c.says)
			if s := r.state(c.spec); s.State != c.state {
				t.Errorf("%s: %s (%s), want %s\n%s", s.Name, s.State, s.Reason, c.state, r.output)
			}
		})
	}
}

func TestAWaivedFindingPasses(t *testing.T) {
	t.Parallel()
	r := try(t, "waived", siteFolder(t, waiverUntil))
	r.wants(evidence.CodeHeld)
	s := r.state("finds what is waived")
	if s.State != evidence.Waived || !s.Rows[0].Waived || s.Findings[0].Waiver.Line == 0 {
		t.Errorf("spec: %+v", s)
	}
}

func TestAWaiverThatDoesNotFitFailsTheRun(t *testing.T) {
	t.Parallel()
	try(t, "waived", siteFolder(t, "2020-01-31")).wants(evidence.CodeFailed, "it expired on 2020-01-31")
	try(t, "held", siteFolder(t, waiverUntil)).wants(evidence.CodeFailed, "the promise holds now")
}

func TestASkippedSpecIsCounted(t *testing.T) {
	t.Parallel()
	r := try(t, "skip", siteFolder(t, ""))
	s := r.state("needs more")
	if o := evidence.Conclude(r.run, r.specs, clock()); o.Skipped != 1 || o.Held != 1 || s.Reason != "no netem here" {
		t.Errorf("outcome %+v, reason %q", o, s.Reason)
	}
}

func TestAFailedSpecLeavesItsEvidence(t *testing.T) {
	t.Parallel()
	r := try(t, "finding", siteFolder(t, ""))
	s := r.state("finds")
	for _, name := range []string{"a/rules.txt", "b/rules.txt", "b/network.txt", "b/wg.txt", "b/conntrack.txt", "b/sockets.txt", "commands.jsonl"} {
		if _, err := os.Stat(filepath.Join(r.dir, s.Folder, name)); err != nil {
			t.Error(err)
		}
	}
	if s.Findings[0].Evidence != s.Folder || r.run.Facts.Driver != "paper" {
		t.Errorf("finding %+v, facts %+v", s.Findings[0], r.run.Facts)
	}
	if n := strings.Count(r.output, "a lab goes down"); n != 1 {
		t.Errorf("%d labs went down", n)
	}
}

func TestTheSharedLabComesUpOnce(t *testing.T) {
	t.Parallel()
	r := try(t, "shared", siteFolder(t, ""))
	r.wants(evidence.CodeHeld)
	if strings.Count(r.output, "a lab comes up") != 1 || strings.Count(r.output, "a lab goes down") != 1 || strings.Count(r.output, "lab 1\n") != 2 {
		t.Errorf("output:\n%s", r.output)
	}
}

func TestTheLabsSecretsAreNowhere(t *testing.T) {
	t.Setenv(secretEnv, "correct-horse-battery-staple")
	r := try(t, "leak", siteFolder(t, ""))
	r.wants(evidence.CodeFailed)
	if strings.Contains(r.output, "correct-horse") {
		t.Errorf("the output has the secret:\n%s", r.output)
	}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("correct-horse")) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnInterruptLeavesACompleteReport(t *testing.T) {
	t.Parallel()
	for _, sign := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		dir := filepath.Join(t.TempDir(), "run")
		c := command(t, "wait", "-site="+siteFolder(t, ""), "-run-dir="+dir)
		var rest bytes.Buffer
		err := stopped(t, c, sign, &rest)
		r := read(t, dir, rest.String(), err)
		r.wants(evidence.CodeInterrupted, "a lab goes down")
		if !r.run.Interrupted || r.run.Ended.IsZero() {
			t.Errorf("head: %+v", r.run)
		}
		for name, state := range map[string]evidence.State{"holds": evidence.Held, "waits": evidence.Interrupted, "comes later": evidence.Interrupted} {
			if s := r.state(name); s.State != state {
				t.Errorf("%s: %s (%s)", name, s.State, s.Reason)
			}
		}
	}
}

func TestAKilledRunCanStillBeReported(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	c := command(t, "wait", "-site="+siteFolder(t, ""), "-run-dir="+dir)
	var rest bytes.Buffer
	if err := stopped(t, c, os.Kill, &rest); err == nil {
		t.Fatal("it was not killed")
	}
	if _, err := os.Stat(filepath.Join(dir, report.HTML)); err != nil {
		t.Error("nothing was reported while the run went on")
	}
	whole, err := report.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Outcome.Code != evidence.CodeInterrupted || whole.Outcome.NeverRan != 1 || len(whole.Specs) != 2 {
		t.Errorf("outcome: %+v of %d specs", whole.Outcome, len(whole.Specs))
	}
}

// stopped starts a trial and signals it once it waits.
func stopped(t *testing.T, c *exec.Cmd, sign os.Signal, rest *bytes.Buffer) error {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := waitFor(t, out, "waiting", rest)
	if err := c.Process.Signal(sign); err != nil {
		t.Fatal(err)
	}
	<-done
	return c.Wait()
}

func TestADryRunBringsNothingUp(t *testing.T) {
	t.Parallel()
	r := try(t, "finding", siteFolder(t, ""), "-ginkgo.dry-run", "-ginkgo.v")
	if !r.passed || strings.Contains(r.output, "a lab comes up") || !strings.Contains(r.output, "finds") {
		t.Errorf("output:\n%s", r.output)
	}
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("a dry run made a folder")
	}
}

func TestWithoutASite(t *testing.T) {
	t.Parallel()
	out, err := command(t, "held").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no site was given") || !strings.Contains(string(out), "could not test (3)") {
		t.Errorf("under ginkgo: %v\n%s", err, out)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestTrial$", "-test.v")
	c.Env = append(os.Environ(), trialEnv+"=held")
	out, err = c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "runs through ginkgo, make or pbsdrill") {
		t.Errorf("under go test: %v\n%s", err, out)
	}
}

func TestEveryProblemOfASiteIsPrinted(t *testing.T) {
	t.Parallel()
	site := siteFolder(t, "")
	path := filepath.Join(site, "site.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.ReplaceAll(string(text), "a -> b over lan: [ssh]", "a -> c over lam: [shh]")
	if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	r := try(t, "held", site)
	if r.passed {
		t.Error("a broken site passed")
	}
	for _, word := range []string{`"lam"`, `"shh"`, "site.yaml:9", "could not test (3)"} {
		if !strings.Contains(r.output, word) {
			t.Errorf("the output does not say %s:\n%s", word, r.output)
		}
	}
	if len(r.run.Trouble) != 1 {
		t.Errorf("trouble: %q", r.run.Trouble)
	}
}

func TestPathsAreRelativeToTheModule(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(module+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(siteFolder(t, ""), filepath.Join(root, "mine")); err != nil {
		t.Fatal(err)
	}
	c := command(t, "held", "-site=mine")
	c.Dir = filepath.Join(root, "suites", "deep")
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runs, err := filepath.Glob(filepath.Join(root, "runs", "*-trial", report.HTML))
	if err != nil || len(runs) != 1 {
		t.Errorf("runs: %q, %v", runs, err)
	}
	if !strings.Contains(string(out), "1 promise held, 0 failed, 0 findings waived, 0 could not test, 0 skipped\nreport  ") {
		t.Errorf("summary:\n%s", out)
	}
	run, _, err := evidence.Read(filepath.Dir(runs[0]))
	if err != nil || !strings.Contains(run.Repeat, "--seed=7 ./suites/firewall -- --site=") {
		t.Errorf("repeat: %q, %v", run.Repeat, err)
	}
}

func TestChanceDependsOnSeedAndNameAlone(t *testing.T) {
	one, same := seeded(7, "a spec"), seeded(7, "a spec")
	if one.Uint64() != same.Uint64() {
		t.Error("the same seed and name give other numbers")
	}
	first := seeded(7, "a spec").Uint64()
	if first == seeded(8, "a spec").Uint64() || first == seeded(7, "another").Uint64() {
		t.Error("another seed or name gives the same numbers")
	}
}
