package holder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pbsdrill/pbsdrill/topology"
)

// stillLab is a lab of one node that repeats what it is told.
type stillLab struct {
	site *topology.Site
	down int
}

func (l *stillLab) Site() *topology.Site       { return l.site }
func (l *stillLab) Facts() topology.Facts      { return topology.Facts{Driver: "still"} }
func (l *stillLab) Down(context.Context) error { l.down++; return nil }
func (l *stillLab) Memory(context.Context) (map[string]int64, error) {
	return map[string]int64{"vps": 7}, nil
}
func (l *stillLab) Node(name string) (topology.Node, error) {
	if name != "vps" {
		return nil, errors.New("no such node")
	}
	return stillNode{}, nil
}

type stillNode struct{}

func (stillNode) Name() string { return "vps" }
func (stillNode) Run(_ context.Context, c topology.Command) (topology.Result, error) {
	said, err := io.ReadAll(c.Stdin)
	if err != nil {
		return topology.Result{}, err
	}
	_, err = io.WriteString(c.Stdout, strings.Join(c.Argv, " ")+": "+string(said))
	return topology.Result{Exit: 7}, err
}
func (stillNode) Get(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (stillNode) Put(context.Context, string, io.Reader, fs.FileMode) error {
	return fs.ErrPermission
}
func (stillNode) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, fs.ErrPermission
}

// held is a folder with one lab in it; serve runs until the lab is down.
func held(t *testing.T) (Folder, *stillLab, <-chan error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pbsdrill-test-") // a test's own name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := Folder{filepath.Join(dir, "labs")}
	lab := &stillLab{site: &topology.Site{Name: "house", Dir: "/house", Nodes: []*topology.Machine{{Name: "vps"}}}}
	h, err := f.Hold(lab, "abc123", "lab-abc123")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(t.Context()) }()
	return f, lab, served
}

func TestAHeldLabIsFoundAskedAndTakenDown(t *testing.T) {
	f, lab, served := held(t)
	all, err := f.List()
	if err != nil || len(all) != 1 || all[0].ID != "abc123" || !all[0].Alive() {
		t.Fatalf("%+v, %v", all, err)
	}
	c, err := f.Connect("abc123")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := c.Describe(t.Context())
	if err != nil || d.Memory["vps"] != 7 || d.Facts.Driver != "still" || d.Site != "house" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := f.Forget(all[0]); err == nil {
		t.Error("a lab that is alive was forgotten")
	}
	if err := c.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil || lab.down == 0 {
		t.Errorf("%v, down %d times", err, lab.down)
	}
	if _, err := os.Stat(f.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := f.Connect("abc123"); !errors.Is(err, ErrGone) {
		t.Errorf("connecting to a lab that is gone: %v", err)
	}
}

func TestStreamsAndExitCodesGoThrough(t *testing.T) {
	f, _, _ := held(t)
	c, err := f.Connect("abc123")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = feed.WriteString("hello")
	_ = feed.Close()
	read, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	code, err := c.Run(t.Context(), "vps", []string{"cat", "-"}, in, out, out)
	_ = out.Close()
	said, _ := io.ReadAll(read)
	if err != nil || code != 7 || string(said) != "cat -: hello" {
		t.Errorf("exit %d, %v: %q", code, err, said)
	}
	if _, err := c.Run(t.Context(), "vsp", []string{"true"}, read, read, read); err == nil || !strings.Contains(err.Error(), "no such node") {
		t.Errorf("a node that is not there: %v", err)
	}
	if _, _, err := c.Terminal(t.Context(), "vps", []string{"sh"}, nil); err == nil || !strings.Contains(err.Error(), "no terminals") {
		t.Errorf("a node without terminals: %v", err)
	}
}

func TestAFolderThatOthersMayEnterIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := (Folder{dir}).List(); err == nil || !strings.Contains(err.Error(), "chmod 0700") {
		t.Errorf("%v", err)
	}
	if _, err := (Folder{dir}).Hold(&stillLab{site: &topology.Site{}}, "abc123", "lab-abc123"); err == nil {
		t.Error("a lab was put there")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := (Folder{link}).List(); err == nil {
		t.Error("a link was followed")
	}
}

func TestAHolderWhoseNumberIsAnotherProcessIsGone(t *testing.T) {
	f := Folder{filepath.Join(t.TempDir(), "labs")}
	if err := f.make(); err != nil {
		t.Fatal(err)
	}
	s := State{ID: "abc123", PID: os.Getpid(), Born: 1}
	if err := f.write(s); err != nil {
		t.Fatal(err)
	}
	if s.Alive() {
		t.Error("a process of another start counts as the holder")
	}
	if err := f.Forget(s); err != nil {
		t.Error(err)
	}
	if all, err := f.List(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestNoFolderIsNoLab(t *testing.T) {
	if all, err := (Folder{"/nowhere/at/all"}).List(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzStartOf(f *testing.F) {
	f.Add("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 42 20")
	f.Add(")")
	f.Add("")
	f.Fuzz(func(t *testing.T, stat string) {
		if born, err := startOf(stat); err != nil && born != 0 {
			t.Errorf("%d with %v", born, err)
		}
	})
}
