package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/child"
	"github.com/pbsdrill/pbsdrill/topology/netns/unit"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// startLimit caps the start of one unit. systemd's own default is 90 s, which
// no lab waits for; the slowest unit of the bundled sites takes 0.2 s.
const startLimit = 20 * time.Second

// bootState is what a node remembers of its boot.
type bootState struct {
	mu     sync.Mutex
	runner *unit.Runner
	nat    configureRequest
}

// bootRequest starts what a node's files enable.
type bootRequest struct {
	Single bool `json:"single"` // there is one id: units cannot change to another
}

// bootReply tells what the boot left out.
type bootReply struct {
	Notes []string `json:"notes"`
}

// bootUnits starts what the node's files enable.
func (a *agent) bootUnits(r *wire.Request) error {
	var q bootRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	set, err := unit.Load(os.DirFS("/"), a.name)
	if err != nil {
		return err
	}
	runner := unit.NewRunner(set, unit.Options{Starter: unitStarter{a.children, q.Single}, Env: nodeEnv, Limit: startLimit, Single: q.Single})
	a.boot.mu.Lock()
	a.boot.runner = runner
	nat := a.boot.nat
	a.boot.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { r.Gone(); cancel() }()
	if err := runner.Boot(ctx); err != nil {
		return err
	}
	// The node's own rules may have begun with flush ruleset.
	if err := a.translateAgain(nat); err != nil {
		return err
	}
	return r.Reply(bootReply{Notes: set.Notes})
}

func (a *agent) runner() (*unit.Runner, error) {
	a.boot.mu.Lock()
	defer a.boot.mu.Unlock()
	if a.boot.runner == nil {
		return nil, fmt.Errorf("%s has not booted yet", a.name)
	}
	return a.boot.runner, nil
}

func (a *agent) units(r *wire.Request) error {
	runner, err := a.runner()
	if err != nil {
		return err
	}
	states := runner.States()
	if states == nil {
		states = []topology.UnitState{}
	}
	return r.Reply(states)
}

func (a *agent) journal(r *wire.Request) error {
	var name string
	if err := r.Decode(&name); err != nil {
		return err
	}
	runner, err := a.runner()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	text, err := runner.Journal(ctx, name)
	if err != nil {
		return err
	}
	f, err := scratch(string(text))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return r.Reply(nil, f)
}

// unitStarter starts a unit's programs as children of the node's PID 1.
type unitStarter struct {
	children *child.Reaper
	single   bool // setgroups(2) is forbidden where there is one id
}

func (s unitStarter) Start(_ context.Context, e unit.Exec) (unit.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer func() { _ = null.Close() }()
	if err := unix.SetNonblock(int(e.Output.Fd()), false); err != nil {
		return nil, fmt.Errorf("start %s: %w", e.Path, err)
	}
	out := e.Output.Fd()
	pid, exited, err := s.children.Start(child.Spec{
		Path: e.Path, Argv: e.Argv, Dir: e.Dir, Env: e.Env, Files: []uintptr{null.Fd(), out, out},
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: e.UID, Gid: e.GID, Groups: e.Groups, NoSetGroups: s.single}},
	})
	if err != nil {
		return nil, err
	}
	p := &unitProcess{pid: pid, ended: make(chan struct{})}
	go func() {
		status := <-exited
		p.exit = unit.Exit{Code: status.ExitStatus()}
		if status.Signaled() {
			p.exit = unit.Exit{Signal: status.Signal()}
		}
		close(p.ended)
	}()
	return p, nil
}

type unitProcess struct {
	pid   int
	ended chan struct{}
	exit  unit.Exit // once ended is closed
}

func (p *unitProcess) PID() int { return p.pid }

func (p *unitProcess) Wait(ctx context.Context) (unit.Exit, error) {
	select {
	case <-p.ended:
		return p.exit, nil
	case <-ctx.Done():
		return unit.Exit{}, ctx.Err()
	}
}

func (p *unitProcess) Signal(s syscall.Signal) error { return p.send(p.pid, s) }

// Kill ends the whole session: it began with setsid.
func (p *unitProcess) Kill() error { return p.send(-p.pid, unix.SIGKILL) }

func (p *unitProcess) send(to int, s syscall.Signal) error {
	select {
	case <-p.ended:
		if to > 0 {
			return os.ErrProcessDone
		}
	default:
	}
	if err := unix.Kill(to, s); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	return nil
}
