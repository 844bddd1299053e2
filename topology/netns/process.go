package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// aLongTimeAgo makes a file give up at once when it is set as its deadline.
var aLongTimeAgo = time.Unix(1, 0)

// streamLimit bounds what a result keeps of a command's output.
const streamLimit = 1 << 20

// process is a command under way on a node.
type process struct {
	node    *node
	command topology.Command
	call    *wire.Call
	started time.Time
	stdout  *keeper
	stderr  *keeper
	streams sync.WaitGroup
	closers []io.Closer

	killed atomic.Bool
	wait   sync.Once
	result topology.Result
	err    error
}

// Run runs a command and waits for it.
func (n *node) Run(ctx context.Context, c topology.Command) (topology.Result, error) {
	p, err := n.start(ctx, c)
	if err != nil {
		n.record(c, topology.Result{}, err)
		return topology.Result{}, err
	}
	return p.Wait(ctx)
}

// Start starts a command that runs on until it ends or is killed.
func (n *node) Start(ctx context.Context, c topology.Command) (topology.Process, error) {
	p, err := n.start(ctx, c)
	if err != nil {
		n.record(c, topology.Result{}, err)
		return nil, err
	}
	return p, nil
}

func (n *node) record(c topology.Command, r topology.Result, err error) {
	if n.lab.options.Recorder != nil {
		n.lab.options.Recorder.Command(n.name, c, r, err)
	}
}

func (n *node) start(ctx context.Context, c topology.Command) (*process, error) {
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("%s: run: no command given", n.name)
	}
	p := &process{node: n, command: c, started: time.Now(), stdout: newKeeper(c.Stdout), stderr: newKeeper(c.Stderr)}
	files, err := p.pipes(c.Stdin)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	call, err := n.agent.Start(opSpawn, spawnRequest{Argv: c.Argv, Env: c.Env, Dir: c.Dir}, files...)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.call = call
	var started spawnReply
	if _, err := call.Next(ctx, &started); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", n.name, err), p.close())
	}
	return p, nil
}

// pipes connects the command's streams; the returned ends are the command's.
func (p *process) pipes(stdin io.Reader) ([]*os.File, error) {
	in, err := p.input(stdin)
	if err != nil {
		return nil, err
	}
	files := []*os.File{in}
	for _, k := range []*keeper{p.stdout, p.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return files, fmt.Errorf("make a pipe: %w", err)
		}
		files = append(files, w)
		p.closers = append(p.closers, r)
		p.streams.Go(func() { _, _ = io.Copy(k, r) })
	}
	return files, nil
}

func (p *process) input(stdin io.Reader) (*os.File, error) {
	if stdin == nil {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
		}
		return f, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	go func() {
		_, _ = io.Copy(w, stdin)
		_ = w.Close()
	}()
	return r, nil
}

// Wait returns when the command has ended. A context that ends kills it.
func (p *process) Wait(ctx context.Context) (topology.Result, error) {
	p.wait.Do(func() {
		var exit spawnReply
		_, err := p.call.Next(ctx, &exit)
		p.result = topology.Result{Started: p.started, Duration: time.Since(p.started), Exit: exit.Exit, Signal: exit.Signal}
		if p.killed.Load() {
			p.result.Exit, p.result.Signal, err = 137, "killed", nil
		}
		if err != nil {
			_ = p.Kill()
			p.err = fmt.Errorf("%s: %s: %w", p.node.name, p.command.Argv[0], err)
			if errors.Is(err, io.EOF) {
				p.err = fmt.Errorf("%s: %s: the node has gone: %w", p.node.name, p.command.Argv[0], io.ErrUnexpectedEOF)
			}
		}
		p.drain()
		p.err = errors.Join(p.err, p.close())
		p.result.Stdout, p.result.Stderr = p.stdout.kept.Bytes(), p.stderr.kept.Bytes()
		p.result.Truncated = p.stdout.more || p.stderr.more
		p.node.record(p.command, p.result, p.err)
	})
	return p.result, p.err
}

// drainTime is how long output may still come after a command has ended. A
// daemon that it left behind holds the streams open for ever.
const drainTime = 200 * time.Millisecond

func (p *process) drain() {
	done := make(chan struct{})
	go func() { p.streams.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainTime):
		for _, c := range p.closers {
			if f, ok := c.(*os.File); ok {
				_ = f.SetReadDeadline(aLongTimeAgo)
			}
		}
		<-done
	}
}

func (p *process) close() error {
	var errs []error
	if p.call != nil {
		errs = append(errs, p.call.Close())
	}
	for _, c := range p.closers {
		errs = append(errs, c.Close())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// Kill ends the command and what it started in its session: the agent sees the
// call close.
func (p *process) Kill() error {
	if p.killed.Swap(true) {
		return nil
	}
	return p.call.Close()
}

// keeper keeps the beginning of a stream and passes all of it on.
type keeper struct {
	to   io.Writer
	kept bytes.Buffer
	more bool
}

func newKeeper(to io.Writer) *keeper { return &keeper{to: to} }

func (k *keeper) Write(b []byte) (int, error) {
	if k.to != nil {
		return k.to.Write(b)
	}
	room := min(streamLimit-k.kept.Len(), len(b))
	k.more = k.more || room < len(b)
	k.kept.Write(b[:room])
	return len(b), nil
}
