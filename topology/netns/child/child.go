package child

import (
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper waits for every child of this process. There is one in a process.
type Reaper struct {
	mu      sync.Mutex
	some    *sync.Cond // signalled when a child was started
	waiting map[int]chan syscall.WaitStatus
}

// NewReaper starts reaping.
func NewReaper() *Reaper {
	r := &Reaper{waiting: map[int]chan syscall.WaitStatus{}}
	r.some = sync.NewCond(&r.mu)
	go r.reap()
	return r
}

// Spec is what to start; the fields are those of syscall.ProcAttr.
type Spec struct {
	Path  string // already looked up
	Argv  []string
	Dir   string
	Env   []string
	Files []uintptr
	Sys   *syscall.SysProcAttr
}

// Start starts a process. The channel yields its status once and is then
// closed.
func (r *Reaper) Start(s Spec) (pid int, exited <-chan syscall.WaitStatus, err error) {
	// The lock is held over the fork, so that a child that ends at once is not
	// reaped before it is known.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err = syscall.ForkExec(s.Path, s.Argv, &syscall.ProcAttr{Dir: s.Dir, Env: s.Env, Files: s.Files, Sys: s.Sys})
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	ch := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = ch
	r.some.Signal()
	return pid, ch, nil
}

func (r *Reaper) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil: // ECHILD: nothing to wait for until something is started
			r.mu.Lock()
			if len(r.waiting) == 0 {
				r.some.Wait()
			}
			r.mu.Unlock()
			continue
		}
		r.mu.Lock()
		if ch, ok := r.waiting[pid]; ok {
			ch <- syscall.WaitStatus(status)
			close(ch)
			delete(r.waiting, pid)
		}
		r.mu.Unlock()
	}
}
