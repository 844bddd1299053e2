package evidence

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// writerEnv makes this test binary a process that writes evidence.
const writerEnv = "PBSDRILL_TEST_WRITES_TO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		if err := writeSpecs(dir, os.Getenv(writerEnv+"_FOREVER") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func writeSpecs(dir string, forever bool) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	fmt.Println("writing")
	for n := 0; forever || n < 25; n++ {
		f, err := s.Begin(Spec{Suite: "firewall", Name: fmt.Sprintf("%d of %d", n, os.Getpid())})
		if err != nil {
			return err
		}
		f.Command("vps", topology.Command{Argv: []string{"true"}}, topology.Result{Stdout: []byte("x")}, nil)
		if err := errors.Join(f.Flow(Row{From: "a", To: "b"}), f.End(Spec{Name: "ended", State: Held, Judged: 1})); err != nil {
			return err
		}
		if err := s.Update(func(r *Run) { r.Planned++ }); err != nil {
			return err
		}
	}
	return s.Close()
}

func writer(t *testing.T, dir string, forever bool) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), writerEnv+"="+dir)
	if forever {
		c.Env = append(c.Env, writerEnv+"_FOREVER=yes")
	}
	c.Stderr = os.Stderr
	return c
}

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Create(t.TempDir(), "homelab-vps", today)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestARunsFolderIsNamedByTimeAndSite(t *testing.T) {
	runs := t.TempDir()
	for _, want := range []string{"2026-11-22T01-30-12-home-lab", "2026-11-22T01-30-12-home-lab-2", "2026-11-22T01-30-12-home-lab-3"} {
		s, err := Create(runs, "home/lab", today)
		if err != nil {
			t.Fatal(err)
		}
		run, _, err := Read(s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(s.Dir()) != want || run.ID != want || run.Version != Version {
			t.Errorf("folder %s, head %+v, want %s", s.Dir(), run, want)
		}
	}
}

func TestProcessesShareARun(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if out, err := writer(t, s.Dir(), false).Output(); err != nil {
				t.Errorf("writer: %v: %s", err, out)
			}
		})
	}
	all.Wait()
	run, specs, err := Read(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 100 || run.Planned != 100 {
		t.Fatalf("%d specs and %d planned, want 100", len(specs), run.Planned)
	}
	for i, spec := range specs {
		if spec.Number != i+1 || spec.State != Held || spec.Folder != fmt.Sprintf("firewall/%04d", i+1) {
			t.Errorf("spec %d is %+v", i+1, spec)
		}
	}
}

func TestAKilledWriterLeavesAReadableRun(t *testing.T) {
	for round := range 5 {
		s := newStore(t)
		c := writer(t, s.Dir(), true)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round*7) * time.Millisecond) // a moment of no meaning
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // it was killed
		run, specs, err := Read(s.Dir())
		if err != nil {
			t.Fatalf("after SIGKILL: %v", err)
		}
		if o := Conclude(run, specs, today); o.Code != CodeInterrupted {
			t.Errorf("a killed run is %s", o.Word)
		}
		for _, spec := range specs {
			if spec.State != Held && spec.State != Interrupted {
				t.Errorf("spec %+v", spec)
			}
			validFiles(t, s, spec)
		}
		// Another process goes on in the same run.
		f, err := s.Begin(Spec{Suite: "firewall"})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.End(Spec{State: Held}); err != nil {
			t.Fatal(err)
		}
	}
}

func validFiles(t *testing.T, s *Store, spec Spec) {
	t.Helper()
	dir := filepath.Join(s.Dir(), fmt.Sprintf("%s/%04d", spec.Suite, spec.Number))
	if text, err := os.ReadFile(filepath.Join(dir, "flows.json")); err == nil && len(text) > 0 && !json.Valid(text) {
		t.Errorf("flows.json of %d: %q", spec.Number, text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "commands.jsonl"))
	if err != nil || len(text) == 0 {
		return
	}
	for line := range strings.Lines(string(text)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("commands.jsonl of %d: %q", spec.Number, line)
		}
	}
}

func TestARecordCutShortIsNoRecord(t *testing.T) {
	s := newStore(t)
	f, err := s.Begin(Spec{Suite: "firewall", Name: "begun"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), recordsDir, fmt.Sprintf("firewall-%d.jsonl", os.Getpid()))
	appendTo(t, path, `{"suite":"firewall","number":1,"state":"he`)
	_, specs, err := Read(s.Dir())
	if err != nil || len(specs) != 1 || specs[0].State != Interrupted {
		t.Errorf("%+v, %v", specs, err)
	}
	if err := f.End(Spec{State: Held}); err != nil {
		t.Fatal(err)
	}
	_, specs, err = Read(s.Dir())
	if err != nil || len(specs) != 2 || specs[0].State != Interrupted || specs[1].State != CouldNotTest {
		t.Errorf("an unreadable line is not reported: %+v, %v", specs, err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mustWrite(t, f, text)
}

func TestACommandIsKeptBoundedAndWithWhoAsked(t *testing.T) {
	s := newStore(t)
	f, err := s.Begin(Spec{Suite: "firewall"})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", streamLimit+1)
	f.Command("vps", topology.Command{Argv: []string{"nft", "list", "ruleset"}}, topology.Result{Stdout: []byte(long), Exit: 1, Duration: time.Second}, nil)
	f.Command("vps", topology.Command{Argv: []string{"gone"}}, topology.Result{}, fs.ErrNotExist)
	text, err := os.ReadFile(filepath.Join(f.Path(), "commands.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var first, second Command
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[1]), &second) != nil {
		t.Fatalf("commands.jsonl: %.300s", text)
	}
	if !first.Truncated || !strings.HasSuffix(first.Stdout, "[… truncated]") || first.Exit != 1 || first.Took != time.Second {
		t.Errorf("first: %.200v", first)
	}
	if !strings.HasPrefix(first.Asked, "harness/evidence/store_test.go:") {
		t.Errorf("asked by %q", first.Asked)
	}
	if second.Error == "" || second.Truncated {
		t.Errorf("second: %+v", second)
	}
}

func TestANameOutsideTheFolderIsRefused(t *testing.T) {
	s := newStore(t)
	f, err := s.Begin(Spec{Suite: "firewall"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/x", "", ".hidden"} {
		if err := f.Add(name, nil); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := f.Add("journal/vps/ssh.service", []byte("up")); err != nil {
		t.Error(err)
	}
}

func TestAPlantedSecretIsNowhereInTheFolder(t *testing.T) {
	s := newStore(t)
	private, psk, password := fresh(t, 32), fresh(t, 32), "it's \"a\" pässword/17+x"
	openssh := "-----BEGIN OPENSSH PRIVATE KEY-----\n" + fresh(t, 45) + "\n" + fresh(t, 45) + "\n-----END OPENSSH PRIVATE KEY-----\n"
	hash := "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
	token := "0b9f5f6e-1c2d-4a3b-9e8f-7a6b5c4d3e2f"
	for _, secret := range []string{private, psk, password, openssh} {
		s.Redactor().Add(secret)
	}
	raw, err := base64.StdEncoding.DecodeString(private)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{
		private, psk, password, openssh, hash, "PBSAPIToken=root@pam!t:" + token, hex.EncodeToString(raw),
		base64.StdEncoding.EncodeToString([]byte("root:" + password)), "PrivateKey = " + fresh(t, 32),
	}, "\n")
	secrets := []string{
		private, psk, password, strings.Split(openssh, "\n")[1], strings.Split(openssh, "\n")[2], hash, token, string(raw), hex.EncodeToString(raw),
		`it's \"a\" pässword/17+x`, base64.StdEncoding.EncodeToString([]byte("root:" + password))[8:28],
	}

	f, err := s.Begin(Spec{Suite: "firewall", Name: text, Reason: text, Labels: []string{text}})
	if err != nil {
		t.Fatal(err)
	}
	f.Command(text, topology.Command{Argv: []string{"x", text}, Env: []string{"P=" + text}, Dir: text},
		topology.Result{Stdout: []byte(text), Stderr: []byte(text), Signal: text}, errors.New(text))
	c, err := f.Create("journal")
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Capture("probe.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) {
		mustWrite(t, c, text[i:i+1])
		mustWrite(t, p, text[i:i+1])
	}
	err = errors.Join(
		c.Close(), p.Close(), f.Add("rules", []byte(text)), f.Flow(Row{Why: text, Rule: text}),
		f.End(Spec{Name: text, State: Failed, Reason: text, Findings: []Finding{{Title: text, Seen: text, Cause: text}}, Rows: []Row{{Why: text}}}),
		s.Update(func(r *Run) { r.About, r.Repeat, r.Trouble = text, text, []string{text} }),
	)
	if err != nil {
		t.Fatal(err)
	}
	mustFindNone(t, s.Dir(), secrets)
}

func mustFindNone(t *testing.T, dir string, secrets []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for n, secret := range secrets {
			if strings.Contains(path, secret) || strings.Contains(string(text), secret) {
				t.Errorf("%s has secret %d: %q", path, n, secret)
			}
		}
		return nil
	})
	if err != nil || files < 6 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}
