package sweep

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/holder"
)

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func found(t *testing.T, p Place) []Remains {
	t.Helper()
	all, err := Find(p)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLabsWithoutAHolderAreFoundAndOthersNot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "labs")
	put(t, filepath.Join(dir, "abc123.json"), `{"id":"abc123","pid":1,"born":1}`)
	put(t, filepath.Join(dir, "abc123.sock"), "")
	put(t, filepath.Join(dir, "def456.sock"), "")
	put(t, filepath.Join(dir, "notes.txt"), "mine")
	for _, r := range found(t, Labs{holder.Folder{Dir: dir}}) {
		if err := r.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("%v, %v", left, err)
	}
}

func TestRootsThatAreBeingMadeAreLeftAlone(t *testing.T) {
	cache := t.TempDir()
	partial := filepath.Join(cache, ".partial-1")
	put(t, filepath.Join(partial, "x"), "")
	put(t, filepath.Join(cache, "debian.tar"), "")
	put(t, filepath.Join(cache, "lock"), "")
	roots := Roots{Cache: cache, Remove: func(_ context.Context, dir string) error { return os.RemoveAll(dir) }}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if all := found(t, roots); len(all) != 0 {
		t.Errorf("%v", all)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	all := found(t, roots)
	if len(all) != 1 || all[0].What != partial {
		t.Fatalf("%v", all)
	}
	if err := all[0].Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(partial); err == nil {
		t.Error("it is still there")
	}
}

func TestOnlyLocksOfRunsBeforeTheMachineStartedAreFound(t *testing.T) {
	runs := t.TempDir()
	started := time.Now().Add(-time.Hour)
	make := func(name string, ended, old bool) {
		store, err := evidence.Create(runs, name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Update(func(r *evidence.Run) {
			if ended {
				r.Ended = time.Now()
			}
		}); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(store.Dir(), ".run.json-123"), "half")
		if old {
			for _, file := range []string{".lock", ".run.json-123"} {
				then := started.Add(-time.Hour)
				if err := os.Chtimes(filepath.Join(store.Dir(), file), then, then); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	make("ended", true, true)
	make("running", false, false)
	make("crashed", false, true)
	all := found(t, Runs{Dir: runs, Since: started})
	if len(all) != 2 || !strings.Contains(all[0].What, "-crashed/.lock") || !strings.Contains(all[1].What, "-crashed/.run.json-123") {
		t.Errorf("%v", all)
	}
}

// process makes an entry of a /proc.
func process(t *testing.T, proc string, pid, parent int, exe string, argv ...string) {
	t.Helper()
	dir := filepath.Join(proc, fmt.Sprint(pid))
	put(t, filepath.Join(dir, "cmdline"), strings.Join(argv, "\x00")+"\x00")
	put(t, filepath.Join(dir, "status"), fmt.Sprintf("Name:\tx\nPPid:\t%d\n", parent))
	if err := os.Symlink(exe, filepath.Join(dir, "exe")); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyLabsWithAMarkAndWithoutAnOwnerAreKilled(t *testing.T) {
	proc := t.TempDir()
	ours, systemd := filepath.Join(proc, "ours"), filepath.Join(proc, "systemd")
	put(t, ours, "")
	put(t, systemd, "x")
	process(t, proc, 1, 0, systemd, "init")
	process(t, proc, 50, 1, systemd, "systemd", "--user")
	process(t, proc, 60, 1, ours, "pbsdrill", "drill", "house")
	process(t, proc, 100, 60, ours, "pbsdrill-lab", "house", "run-1")  // owned
	process(t, proc, 101, 1, ours, "pbsdrill-lab", "house", "run-2")   // left
	process(t, proc, 102, 50, ours, "pbsdrill-lab", "house", "lab-a1") // left, adopted by the user's systemd
	process(t, proc, 103, 1, ours, "pbsdrill-lab", "house")            // no mark
	process(t, proc, 104, 1, ours, "pbsdrill-lab", "house", "my notes")
	process(t, proc, 105, 1, ours, "vim", "pbsdrill-lab", "run-3")
	process(t, proc, 106, 1, ours, "pbsdrill-node", "vps", "run-3")
	var killed []int
	p := Processes{Proc: proc, Kill: func(pid int, _ syscall.Signal) error { killed = append(killed, pid); return nil }}
	all := found(t, p)
	// between finding and removing, the number was given to another process
	put(t, filepath.Join(proc, "102", "cmdline"), "bash\x00")
	for _, r := range all {
		if err := r.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(all) != 2 || !slices.Equal(killed, []int{101}) {
		t.Errorf("found %v, killed %v", all, killed)
	}
}

func TestBooted(t *testing.T) {
	at, err := Booted("/proc/stat")
	if err != nil || at.After(time.Now()) || at.Year() < 2020 {
		t.Errorf("%v, %v", at, err)
	}
}

func TestOnlySuitesOfEndedProcessesAreFound(t *testing.T) {
	suites := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{BinaryName(os.Getpid()), BinaryName(gone.Process.Pid), "firewall.test", "pbsdrill-x.test", "pbsdrill--1.test"} {
		put(t, filepath.Join(suites, "firewall", name), "")
	}
	all := found(t, Binaries{suites})
	if len(all) != 1 || filepath.Base(all[0].What) != BinaryName(gone.Process.Pid) {
		t.Errorf("%v", all)
	}
}

func TestOnlyFoldersOfEndedProcessesAndOfOurOwnAreFound(t *testing.T) {
	tmp := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{os.Getpid(), gone.Process.Pid} {
		if _, err := os.MkdirTemp(tmp, TemporaryName(pid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/", filepath.Join(tmp, fmt.Sprintf("pbsdrill-list-%d-x", gone.Process.Pid))); err != nil {
		t.Fatal(err)
	}
	if all := found(t, Temporary{Dir: tmp, UID: os.Getuid() + 1}); len(all) != 0 {
		t.Errorf("somebody else's: %v", all)
	}
	all := found(t, Temporary{Dir: tmp, UID: os.Getuid()})
	if len(all) != 1 || all[0].Remove(t.Context()) != nil {
		t.Fatalf("%v", all)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}
