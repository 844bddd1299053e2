package soak

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// play names what this test binary is to play as the child of a round.
const play = "PBSDRILL_SOAK_PLAY"

func TestMain(m *testing.M) {
	switch os.Getenv(play) {
	case "":
		if err := Adopt(); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	case "clean": // ends with everything that it made
	case "orphan": // starts something that outlives it
		c := exec.Command("sleep", "60")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			panic(err)
		}
	case "namespace": // the same, in namespaces of its own
		c := exec.Command("sleep", "60")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET}
		if err := c.Start(); err != nil {
			panic(err)
		}
	case "file":
		if err := os.WriteFile(os.Getenv("PBSDRILL_SOAK_FILE"), nil, 0o600); err != nil {
			panic(err)
		}
	case "broken":
		fmt.Fprintln(os.NewFile(3, "said"), "no tun")
		os.Exit(1)
	}
	fmt.Fprintln(os.NewFile(3, "said"), "up")
	time.Sleep(time.Hour) // until it is killed; without cgo, select {} alone is a deadlock to the runtime
}

func playing(t *testing.T, what string, env ...string) Killer {
	t.Helper()
	start := func(out *os.File) (*os.Process, error) {
		return os.StartProcess("/proc/self/exe", []string{"child"}, &os.ProcAttr{
			Env: append(env, play+"="+what, "PATH="+os.Getenv("PATH")), Files: []*os.File{nil, nil, os.Stderr, out}})
	}
	return Killer{Start: start, Dirs: []string{t.TempDir()}, Gone: 200 * time.Millisecond}
}

// round kills the child soon after it is up.
func round(t *testing.T, k Killer) Round {
	t.Helper()
	up, err := k.UpTime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clearAway(t, k)
	for range 20 { // a slow machine may take longer than it did
		r, err := k.Round(t.Context(), 4*up+50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if r.Up {
			return r
		}
		clearAway(t, k)
	}
	t.Fatal("it never came up")
	return Round{}
}

// clearAway ends what a leaking child left, which is ours by adoption.
func clearAway(t *testing.T, k Killer) {
	t.Helper()
	for _, pid := range children(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
	for _, dir := range k.Dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			_ = os.Remove(dir + "/" + e.Name())
		}
	}
}

func children(t *testing.T) []int {
	t.Helper()
	var all []int
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		for _, word := range strings.Fields(string(text)) {
			var pid int
			if _, err := fmt.Sscan(word, &pid); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

func TestACleanEndLeavesNothing(t *testing.T) {
	if r := round(t, playing(t, "clean")); len(r.Left) != 0 {
		t.Errorf("%q", r.Left)
	}
}

func TestWhatIsLeftIsSeen(t *testing.T) {
	t.Run("a process", func(t *testing.T) {
		k := playing(t, "orphan")
		r := round(t, k)
		clearAway(t, k)
		if text := strings.Join(r.Left, "\n"); !strings.Contains(text, "sleep 60") || !strings.Contains(text, "orphan") {
			t.Errorf("%q", r.Left)
		}
	})
	t.Run("a namespace", func(t *testing.T) {
		k := playing(t, "namespace")
		r := round(t, k)
		clearAway(t, k)
		if text := strings.Join(r.Left, "\n"); !strings.Contains(text, "sleep 60") {
			t.Errorf("%q", r.Left)
		}
	})
	t.Run("a file", func(t *testing.T) {
		dir := t.TempDir()
		k := playing(t, "file", "PBSDRILL_SOAK_FILE="+dir+"/pbsdrill-x")
		k.Dirs = []string{dir}
		if r := round(t, k); len(r.Left) != 1 || !strings.Contains(r.Left[0], "pbsdrill-x") {
			t.Errorf("%q", r.Left)
		}
	})
}

func TestALabThatDoesNotComeUpIsNoRound(t *testing.T) {
	k := playing(t, "broken")
	if _, err := k.Round(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "no tun") {
		t.Errorf("%v", err)
	}
	if _, err := k.UpTime(t.Context()); err == nil {
		t.Error("it has a time")
	}
}
