package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// guardName is the name under which this binary stands between us and ginkgo.
const guardName = "pbsdrill-guard"

// graceful is how long an interrupted run gets to undo and report before it is
// killed. A lab needs well under a second to go; a suite's clean-up may wait
// for the command that it was running.
const graceful = 30 * time.Second

// guard runs a command in a process group of its own and ends the group when
// whoever started it has gone, however it went: its end of standard input is
// closed then. Signals to the group are for the command; the guard stays until
// that has ended.
func guard(argv []string) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	c := exec.Command(argv[0], argv[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	// Ignored signals stay ignored in a child, unless it asks for them, as
	// every Go program that handles them does.
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(CouldNotTest)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(0, syscall.SIGINT)
		time.AfterFunc(graceful, func() { _ = syscall.Kill(0, syscall.SIGKILL) })
	}()
	err := <-ended
	var exited *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exited) && exited.ExitCode() >= 0:
		return exited.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return int(CouldNotTest)
}

// guarded is a command that runs under a guard.
type guarded struct {
	cmd  *exec.Cmd
	life io.Closer // the guard ends its group when this is closed
}

func startGuarded(dir string, argv, env []string, out io.Writer) (*guarded, error) {
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{guardName}, argv...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return &guarded{c, life}, nil
}

// wait returns the exit code. When the context ends, the group is interrupted
// once; hurry interrupts again and then kills, as does a run that does not end.
func (g *guarded) wait(ctx context.Context, hurry <-chan os.Signal, say func(string)) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- g.cmd.Wait() }()
	interrupted := ctx.Done()
	var late <-chan time.Time
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGKILL}
	next := func() {
		_ = syscall.Kill(-g.cmd.Process.Pid, signals[0])
		if len(signals) > 1 {
			signals = signals[1:]
		}
	}
	for {
		select {
		case err := <-ended:
			var exited *exec.ExitError
			if errors.As(err, &exited) {
				return exited.ExitCode(), nil
			}
			return 0, err
		case <-interrupted:
			interrupted = nil
			late = time.After(graceful)
			say("interrupted: undoing and reporting; Ctrl-C again to hurry")
			next()
		case <-late:
			say("it does not end: killing it")
			signals = signals[len(signals)-1:]
			next()
		case <-hurry:
			if interrupted == nil {
				next()
			}
		}
	}
}
