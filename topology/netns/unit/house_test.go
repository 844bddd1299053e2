package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// targets are the ones of Debian that a boot walks through.
var targets = map[string]string{
	"/usr/lib/systemd/system/default.target":        "-> graphical.target",
	"/usr/lib/systemd/system/graphical.target":      "[Unit]\nRequires=multi-user.target\nWants=display-manager.service\nAfter=multi-user.target\n",
	"/usr/lib/systemd/system/multi-user.target":     "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
	"/usr/lib/systemd/system/basic.target":          "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
	"/usr/lib/systemd/system/sysinit.target":        "[Unit]\nWants=local-fs.target\nAfter=local-fs.target\n",
	"/usr/lib/systemd/system/local-fs.target":       "[Unit]\nDefaultDependencies=no\n",
	"/usr/lib/systemd/system/network-pre.target":    "[Unit]\nDescription=before the network\n",
	"/usr/lib/systemd/system/network.target":        "[Unit]\nAfter=network-pre.target\n",
	"/usr/lib/systemd/system/network-online.target": "[Unit]\nAfter=network.target\n",
}

// house writes a node's root; a text that begins with "-> " is a link.
func house(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, set := range []map[string]string{targets, files} {
		for name, text := range set {
			full := root + name
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(full)
			var err error
			if target, ok := strings.CutPrefix(text, "-> "); ok {
				err = os.Symlink(target, full)
			} else {
				err = os.WriteFile(full, []byte(text), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// enabled adds services and the links that enable them.
func enabled(services map[string]string) map[string]string {
	files := map[string]string{}
	for name, text := range services {
		files["/usr/lib/systemd/system/"+name] = text
		files["/etc/systemd/system/multi-user.target.wants/"+name] = "-> /usr/lib/systemd/system/" + name
	}
	return files
}

// boots loads and boots a root, and returns the runner.
func boots(t testing.TB, root string, o Options) *Runner {
	t.Helper()
	set, err := Load(os.DirFS(root), "vps")
	if err != nil {
		t.Fatal(err)
	}
	if o.Starter == nil {
		o.Starter = children{}
	}
	if o.Limit == 0 {
		o.Limit = 20 * time.Second
	}
	o.Root = root
	// A socket's path is short, and a test's folder need not be.
	notify, err := os.MkdirTemp("", "n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(notify) })
	o.Notify = notify
	r := NewRunner(set, o)
	if err := r.Boot(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, u := range set.Units {
			_ = r.Stop(context.Background(), u.Name)
		}
	})
	return r
}

func state(r *Runner, name string) string {
	for _, s := range r.States() {
		if s.Name == name {
			if s.Result == "" {
				return s.State
			}
			return s.State + ": " + s.Result
		}
	}
	return "unknown"
}

// children starts processes as children of the test.
type children struct{}

func (children) Start(_ context.Context, e Exec) (Process, error) {
	cmd := &exec.Cmd{Path: e.Path, Args: e.Argv, Env: e.Env, Dir: e.Dir, Stdout: e.Output, Stderr: e.Output,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() { defer close(c.done); c.err = cmd.Wait() }()
	return c, nil
}

type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (c *child) PID() int                      { return c.cmd.Process.Pid }
func (c *child) Signal(s syscall.Signal) error { return c.cmd.Process.Signal(s) }
func (c *child) Kill() error                   { return syscall.Kill(-c.PID(), syscall.SIGKILL) }

func (c *child) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	case <-c.done:
	}
	var exit *exec.ExitError
	if c.err == nil {
		return Exit{}, nil
	}
	if !errors.As(c.err, &exit) {
		return Exit{}, c.err
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok {
		return Exit{}, c.err
	}
	if status.Signaled() {
		return Exit{Code: 128 + int(status.Signal()), Signal: status.Signal()}, nil
	}
	return Exit{Code: status.ExitStatus()}, nil
}

// scribe notes what was started, in order, and starts nothing.
type scribe struct {
	mu    sync.Mutex
	execs []Exec
}

func (s *scribe) Start(_ context.Context, e Exec) (Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.execs = append(s.execs, e)
	if strings.Contains(e.Path, "fails") {
		return ended{Exit{Code: 3}}, nil
	}
	return ended{}, nil
}

func (s *scribe) argvs() []string {
	var out []string
	for _, e := range s.execs {
		out = append(out, fmt.Sprint(e.Argv))
	}
	return out
}

type ended struct{ exit Exit }

func (e ended) PID() int                           { return 1 }
func (e ended) Wait(context.Context) (Exit, error) { return e.exit, nil }
func (e ended) Signal(syscall.Signal) error        { return nil }
func (e ended) Kill() error                        { return nil }
