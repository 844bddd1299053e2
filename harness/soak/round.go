package soak

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// gone is how long the kernel may take, unless told otherwise, to end what hung
// off a killed process.
const gone = 5 * time.Second

// Start starts the child that brings a lab up. It writes "up" and a line end
// to out when the lab is up, or one line that says why it isn't.
type Start func(out *os.File) (*os.Process, error)

// Round is one lab that was killed.
type Round struct {
	After time.Duration `json:"after"` // from the child's start to its kill
	Up    bool          `json:"up"`    // the lab was up by then
	Left  []string      `json:"left"`  // what was there afterwards and should not be
}

// Killer kills labs.
type Killer struct {
	Start Start
	Dirs  []string      // folders in which a lab could leave files
	Gone  time.Duration // how long the end may take; zero is 5 s
}

// Adopt makes this process the parent of its children's orphans.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	return nil
}

// UpTime brings a lab up once and says how long that took, from the child's
// start. An error is a lab that does not come up.
func (k Killer) UpTime(ctx context.Context) (time.Duration, error) {
	c, err := k.child()
	if err != nil {
		return 0, err
	}
	stop := make(chan struct{})
	defer close(stop)
	watch(c.p.Pid, stop) // as in a round, since looking takes time
	begun := time.Now()
	var took time.Duration
	select {
	case line := <-c.said:
		took = time.Since(begun)
		if line != "up" {
			err = errors.New(line)
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	return took, errors.Join(err, c.kill())
}

// Round brings a lab up, kills its owner after that time, and looks.
func (k Killer) Round(ctx context.Context, after time.Duration) (Round, error) {
	before, err := Take(k.Dirs)
	if err != nil {
		return Round{}, err
	}
	c, err := k.child()
	if err != nil {
		return Round{}, err
	}
	stop := make(chan struct{})
	watched := watch(c.p.Pid, stop)
	r := Round{After: after}
	kill := time.NewTimer(after)
	defer kill.Stop()
	said := c.said
	for waiting := true; waiting; {
		select {
		case line := <-said:
			if r.Up = line == "up"; !r.Up {
				close(stop)
				return r, errors.Join(fmt.Errorf("the lab does not come up: %s", line), c.kill())
			}
			said = nil
		case <-kill.C:
			waiting = false
		case <-ctx.Done():
			close(stop)
			return r, errors.Join(ctx.Err(), c.kill())
		}
	}
	err = c.kill()
	killed := ticks()
	close(stop)
	saw := <-watched
	saw.killed = killed
	r.Left = k.left(saw, before)
	return r, err
}

// left waits until nothing is left, and says what is when that takes too long.
func (k Killer) left(s seen, before Ledger) []string {
	deadline := time.Now().Add(cmp.Or(k.Gone, gone))
	for {
		left := append(adopted(), s.alive()...)
		if now, err := Take(k.Dirs); err != nil {
			left = append(left, err.Error())
		} else {
			left = append(left, now.Since(before)...)
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return slices.Compact(left)
		}
		time.Sleep(time.Millisecond) // the kernel tells nobody when a namespace has ended
	}
}

// adopted reaps orphans that have ended and names those that have not.
func adopted() []string {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) || err == nil && pid > 0 {
			continue
		}
		if err != nil { // ECHILD: there are none
			return nil
		}
		return []string{"an orphan that does not end"}
	}
}

// child is a process that brings a lab up.
type child struct {
	p    *os.Process
	said <-chan string
	out  *os.File
}

func (k Killer) child() (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := k.Start(w)
	_ = w.Close()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	said := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(r).ReadString('\n')
		if line = strings.TrimSpace(line); line == "" && err != nil && !errors.Is(err, io.EOF) {
			line = err.Error()
		}
		if line != "" {
			said <- line
		}
	}()
	return &child{p, said, r}, nil
}

func (c *child) kill() error {
	err := c.p.Signal(syscall.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	_, werr := c.p.Wait()
	return errors.Join(err, werr, c.out.Close())
}
