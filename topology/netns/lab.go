package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// Options says how a lab is brought up. The zero value is usable.
type Options struct {
	// Recorder is told of every command that the nodes ran.
	Recorder topology.Recorder
	// Secret is told every secret that is made, before it is used.
	Secret func(string)
	// Progress is told what is going on, a line at a time.
	Progress func(line string)
	// Disk bounds all disks of the lab together, as tmpfs(5) takes a size.
	Disk string
	// Mark goes into the lab's processes' names, so that a sweep can tell them.
	Mark string
}

// Lab is a site that runs in namespaces.
type Lab struct {
	site       *topology.Site
	options    Options
	facts      topology.Facts
	secrets    *secrets
	ids        IDs
	composed   bool     // the nodes' programs are this machine's
	fixed      []string // borrowed folders that nothing can be laid over
	supervisor *os.Process
	control    *wire.Conn
	log        *tail // what the supervisor and the agents complain about
	nodes      map[string]*node

	down    sync.Once
	downErr error
}

var _ topology.Lab = (*Lab)(nil)

// Site is the site that runs.
func (l *Lab) Site() *topology.Site { return l.site }

// Facts tells how it runs.
func (l *Lab) Facts() topology.Facts { return l.facts }

// PID is the supervisor's process id on this machine.
func (l *Lab) PID() int { return l.supervisor.Pid }

// Node finds a running node.
func (l *Lab) Node(name string) (topology.Node, error) {
	n, ok := l.nodes[name]
	if !ok {
		return nil, fmt.Errorf("the lab of %s has no node %q", l.site.Name, name)
	}
	return n, nil
}

// Down ends the lab: the supervisor is killed, and the kernel ends whatever
// lives in its namespaces before its exit can be waited for.
func (l *Lab) Down(ctx context.Context) error {
	l.down.Do(func() {
		for _, n := range l.nodes {
			_ = n.agent.Close()
		}
		_ = l.control.Close()
		_ = l.supervisor.Kill()
		ended := make(chan error, 1)
		go func() { _, err := l.supervisor.Wait(); ended <- err }()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, unix.ECHILD) {
				l.downErr = fmt.Errorf("end the lab: %w", err)
			}
		case <-ctx.Done():
			l.downErr = fmt.Errorf("end the lab: %w", ctx.Err())
		}
		_ = l.log.Close()
	})
	return l.downErr
}

func (l *Lab) progress(format string, args ...any) {
	if l.options.Progress != nil {
		l.options.Progress(fmt.Sprintf(format, args...))
	}
}

// tail keeps the last lines that the lab's own processes wrote to their
// standard error: what there is to know when they die.
type tail struct {
	r    *os.File
	done chan struct{}
	mu   sync.Mutex
	last []byte
}

const tailSize = 4 << 10

func newTail() (*tail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	t := &tail{r: r, done: make(chan struct{})}
	go t.read()
	return t, w, nil
}

func (t *tail) read() {
	defer close(t.done)
	buf := make([]byte, tailSize)
	for {
		n, err := t.r.Read(buf)
		t.mu.Lock()
		t.last = append(t.last, buf[:n]...)
		if over := len(t.last) - tailSize; over > 0 {
			t.last = t.last[over:]
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}

// Close waits a moment for the last words of processes that have just ended.
func (t *tail) Close() error {
	select {
	case <-t.done:
	case <-time.After(100 * time.Millisecond):
	}
	return t.r.Close()
}

// Memory is the proportional memory of every node, in bytes.
func (l *Lab) Memory(ctx context.Context) (map[string]int64, error) {
	var m map[string]int64
	if _, err := l.control.Do(ctx, opMemory, nil, &m); err != nil {
		return nil, fmt.Errorf("measure memory: %w", err)
	}
	return m, nil
}
