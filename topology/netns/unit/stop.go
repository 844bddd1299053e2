package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Start starts a unit of the set by hand, as systemctl start does.
func (r *Runner) Start(ctx context.Context, name string) error {
	x, err := r.find(name)
	if err != nil {
		return err
	}
	x.mu.Lock()
	already := x.state == active
	x.mu.Unlock()
	if already {
		return nil
	}
	r.start(ctx, x)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == failed {
		return fmt.Errorf("start %s: %s", x.unit.Name, x.result)
	}
	return nil
}

// Stop stops a unit: its ExecStop= lines, then the signal of its KillSignal=,
// then, out of time, SIGKILL.
func (r *Runner) Stop(ctx context.Context, name string) error {
	x, err := r.find(name)
	if err != nil {
		return err
	}
	x.acting.Lock()
	defer x.acting.Unlock()
	x.mu.Lock()
	up := x.state == active
	x.ending = true
	x.mu.Unlock()
	if !up {
		return nil
	}
	if x.unit.Service != nil {
		err = r.end(ctx, x)
	}
	if err != nil {
		x.settle(failed, err.Error(), topology.Position{})
		return fmt.Errorf("stop %s: %w", x.unit.Name, err)
	}
	x.settle(inactive, "stopped", topology.Position{})
	return nil
}

func (r *Runner) end(ctx context.Context, x *run) error {
	s := x.unit.Service
	bounded, cancel := r.budget(ctx, s.TimeoutStop)
	defer cancel()
	err := r.runAll(bounded, x, "ExecStop")
	x.mu.Lock()
	p := x.main
	x.mu.Unlock()
	if p != nil && s.KillMode != "none" {
		err = errors.Join(err, quit(bounded, p, s))
	}
	err = errors.Join(err, r.runAll(bounded, x, "ExecStopPost"))
	x.mu.Lock()
	x.main = nil
	x.mu.Unlock()
	x.closeNotices()
	return err
}

// quit asks a process to end and, when it does not, ends it.
func quit(ctx context.Context, p Process, s *Service) error {
	if err := p.Signal(s.KillSignal); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := p.Wait(ctx)
	if err == nil && s.KillMode == "process" {
		return nil // what it leaves behind lives on: sshd's sessions
	}
	if kill := p.Kill(); err == nil || kill == nil {
		return nil
	}
	return err
}

// Restart stops and starts a unit.
func (r *Runner) Restart(ctx context.Context, name string) error {
	if err := r.Stop(ctx, name); err != nil {
		return err
	}
	return r.Start(ctx, name)
}

// Reload runs a unit's ExecReload= lines.
func (r *Runner) Reload(ctx context.Context, name string) error {
	x, err := r.find(name)
	if err != nil {
		return err
	}
	x.acting.Lock()
	defer x.acting.Unlock()
	x.mu.Lock()
	up := x.state == active
	x.mu.Unlock()
	if !up || x.unit.Service == nil || len(x.unit.Service.Commands["ExecReload"]) == 0 {
		return fmt.Errorf("reload %s: it is not active, or has no ExecReload=", x.unit.Name)
	}
	ctx, cancel := r.budget(ctx, x.unit.Service.TimeoutStart)
	defer cancel()
	if err := r.runAll(ctx, x, "ExecReload"); err != nil {
		return fmt.Errorf("reload %s: %w", x.unit.Name, err)
	}
	return nil
}

// daemon is a process that somebody else started: all that can be done is to
// signal it. Who it belongs to is told by the PID file of its unit.
type daemon int

func (d daemon) PID() int                      { return int(d) }
func (d daemon) Signal(s syscall.Signal) error { return unix.Kill(int(d), s) }
func (d daemon) Kill() error                   { return unix.Kill(int(d), unix.SIGKILL) }

// Wait waits for the end of a process that is not a child, through a
// descriptor that becomes readable then. How it ended is not told.
func (d daemon) Wait(ctx context.Context) (Exit, error) {
	fd, err := unix.PidfdOpen(int(d), unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return Exit{}, nil
	}
	if err != nil {
		return Exit{}, fmt.Errorf("watch process %d: %w", int(d), err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return Exit{}, fmt.Errorf("watch process %d: %w", int(d), err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n > 0
	})
	if ctx.Err() != nil {
		return Exit{}, ctx.Err()
	}
	if err != nil {
		return Exit{}, fmt.Errorf("watch process %d: %w", int(d), err)
	}
	return Exit{}, nil
}
