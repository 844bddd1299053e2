package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/report"
	"github.com/pbsdrill/pbsdrill/harness/sweep"
)

// fakeGinkgo makes this test binary a ginkgo that runs one spec; its value is
// how that ends.
const fakeGinkgo = "PBSDRILL_FAKE_GINKGO"

// playGinkgo writes to the run's folder as the suites do.
func playGinkgo(how string, args []string) int {
	dir := ""
	for _, a := range args {
		if value, ok := strings.CutPrefix(a, "--run-dir="); ok {
			dir = value
		}
	}
	if how == "silent" { // a suite that does not compile
		fmt.Println("firewall_test.go:1: expected package")
		return 1
	}
	store, err := evidence.Open(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_ = store.Update(func(r *evidence.Run) { r.Planned = 1 })
	if how == "empty" { // planned, and gone without a word
		return 0
	}
	folder, err := store.Begin(evidence.Spec{Suite: "firewall", Name: "one", Labels: []string{"firewall"}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	spec := evidence.Spec{State: evidence.Held, Judged: 3, Started: time.Now(), Took: time.Millisecond}
	code := 0
	switch how {
	case "failed":
		spec.State, code = evidence.Failed, 1
		spec.Findings = []evidence.Finding{{Promise: "reach", Title: "only ssh", Flow: "a -> b", Expected: "dropped", Seen: "open", Cause: "no rule"}}
	case "red": // green records, and yet
		code = 1
	case "slow":
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		_ = os.WriteFile(filepath.Join(dir, "begun"), nil, 0o644)
		<-interrupted
		_ = os.WriteFile(filepath.Join(dir, "undone"), nil, 0o644)
		spec.State, code = evidence.Interrupted, 1
	case "args":
		_ = os.WriteFile(filepath.Join(dir, "args"), []byte(strings.Join(args, "\n")), 0o644)
	}
	if err := folder.End(spec); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// buildsNothing stands for a build that worked.
func buildsNothing(context.Context, module, string, string) error { return nil }

// drilling runs a drill with a ginkgo that ends like that.
func drilling(ctx context.Context, t *testing.T, how string, args ...string) (result, string) {
	t.Helper()
	t.Setenv(fakeGinkgo, how)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	a := &app{ginkgo: self, buildSuite: buildsNothing}
	return a.try(ctx, append([]string{"drill", "testdata/house", "--run-dir=" + dir}, args...)...), dir
}

func TestADrillEndsWithTheCodeOfItsOutcome(t *testing.T) {
	for how, want := range map[string]Code{"held": Held, "failed": PromiseFails, "silent": CouldNotTest, "red": CouldNotTest, "empty": CouldNotTest} {
		t.Run(how, func(t *testing.T) {
			r, dir := drilling(t.Context(), t, how)
			if r.code != want {
				t.Errorf("exit %d instead of %d\n%s%s", r.code, want, r.out, r.err)
			}
			if last := fmt.Sprintf("exit %d: %s\n", want, want); !strings.HasSuffix(r.out, last) {
				t.Errorf("the last line is not %q:\n%s", last, r.out)
			}
			for _, name := range []string{report.HTML, report.JSON, report.JUnit} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			if how == "silent" && !strings.Contains(r.err, "expected package") {
				t.Errorf("what ginkgo said is not shown:\n%s", r.err)
			}
			again := pbsdrill(t, "report", dir)
			if again.code != want || again.out != r.out {
				t.Errorf("report: exit %d\n%s", again.code, again.out)
			}
		})
	}
}

func TestASuiteThatDoesNotBuildIsNoVerdict(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	a := &app{ginkgo: "/bin/false", buildSuite: func(context.Context, module, string, string) error {
		return errors.New("firewall_test.go:1: expected package")
	}}
	r := a.try(t.Context(), "drill", "testdata/house", "--run-dir="+dir)
	if r.code != CouldNotTest || !strings.Contains(r.err, "expected package") || !strings.HasSuffix(r.out, "exit 3: could not test\n") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestADrillAsJSON(t *testing.T) {
	junit := filepath.Join(t.TempDir(), "folder", "junit.xml")
	r, dir := drilling(t.Context(), t, "failed", "--json", "--junit="+junit)
	var d drilled
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		t.Fatalf("%v\n%s", err, r.out)
	}
	if d.Code != PromiseFails || d.Run != dir || len(d.Findings) != 1 || r.code != PromiseFails {
		t.Errorf("exit %d: %+v", r.code, d)
	}
	if _, err := os.Stat(junit); err != nil {
		t.Error(err)
	}
}

func TestGinkgoIsToldWhatWasAsked(t *testing.T) {
	_, dir := drilling(t.Context(), t, "args", "--label-filter=firewall && !slow", "--seed=4711", "--procs=2", "firewall")
	text, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(string(text), "\n")
	site, err := filepath.Abs("testdata/house")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"run", "--label-filter=firewall && !slow", "--procs=2", "./suites/firewall/" + sweep.BinaryName(os.Getpid()), "--site=" + site, "--run-dir=" + dir} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is missing in %q", want, args)
		}
	}
	if n := strings.Count(string(text), "--seed=4711"); n != 2 {
		t.Errorf("the seed goes to ginkgo and to the suite, not %d times", n)
	}
	run, _, err := evidence.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := "pbsdrill drill " + site + " firewall --seed=4711 --label-filter='firewall && !slow'"; run.Repeat != want {
		t.Errorf("repeat is %q", run.Repeat)
	}
}

func TestCtrlCUndoesAndReports(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	dir := filepath.Join(t.TempDir(), "run")
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, "begun")); err == nil {
				interrupt()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	t.Setenv(fakeGinkgo, "slow")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := (&app{ginkgo: self, buildSuite: buildsNothing}).try(ctx, "drill", "testdata/house", "--run-dir="+dir)
	if r.code != Interrupted || !strings.HasSuffix(r.out, "exit 130: interrupted\n") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(filepath.Join(dir, "undone")); err != nil {
		t.Errorf("ginkgo was not told: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, report.HTML)); err != nil {
		t.Error(err)
	}
}

func TestADrillThatIsKilledTakesGinkgoAlong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g, err := startGuarded("/", []string{self, "run", "--run-dir=" + dir}, []string{fakeGinkgo + "=slow"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	wait := func(name string) {
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("%s did not come", name)
	}
	wait("begun")
	if err := g.life.Close(); err != nil { // as the kernel does for a killed process
		t.Fatal(err)
	}
	wait("undone")
	if err := g.cmd.Wait(); err == nil {
		t.Error("the guard ended as if nothing had happened")
	}
	if err := syscall.Kill(-g.cmd.Process.Pid, 0); err == nil {
		t.Error("something of the group is still there")
	}
}
