package holder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// Lab is a lab that a holder can keep.
type Lab interface {
	topology.Lab
	Memory(ctx context.Context) (map[string]int64, error)
}

// Holding is a lab that is being kept.
type Holding struct {
	folder Folder
	lab    Lab
	state  State
	listen *net.UnixListener
	down   context.CancelFunc
}

// Hold opens the socket of a lab and writes it down. The caller then calls
// [Holding.Serve].
func (f Folder) Hold(lab Lab, id, mark string) (*Holding, error) {
	if err := f.make(); err != nil {
		return nil, err
	}
	born, err := bornAt(os.Getpid())
	if err != nil {
		return nil, err
	}
	site := lab.Site()
	s := State{ID: id, Site: site.Name, Dir: site.Dir, Started: time.Now(), PID: os.Getpid(), Born: born, Mark: mark}
	for _, n := range site.Nodes {
		s.Nodes = append(s.Nodes, n.Name)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: f.socket(id), Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("open the lab's socket: %w", err)
	}
	if err := f.write(s); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Holding{folder: f, lab: lab, state: s, listen: l}, nil
}

// Serve answers requests until the context ends or somebody asks for the end.
// Then the lab is taken down, and what was written is removed.
func (h *Holding) Serve(ctx context.Context) error {
	ctx, h.down = context.WithCancel(ctx)
	defer h.down()
	context.AfterFunc(ctx, func() { _ = h.listen.Close() })
	var failed error
	for {
		c, err := h.listen.AcceptUnix()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failed = fmt.Errorf("wait for requests: %w", err)
			break
		}
		go h.serve(ctx, c)
	}
	err := h.lab.Down(context.WithoutCancel(ctx))
	return errors.Join(failed, err, h.folder.remove(h.state.ID))
}

func (h *Holding) serve(ctx context.Context, c *net.UnixConn) {
	file, err := c.File()
	_ = c.Close()
	if err != nil {
		return
	}
	w, err := wire.FromFile(file)
	if err != nil {
		return
	}
	defer w.Close() //nolint:errcheck // nobody is left to tell
	_ = wire.Serve(w, map[string]wire.Handler{
		opDescribe: func(r *wire.Request) error { return h.describe(ctx, r) },
		opRun:      func(r *wire.Request) error { return h.run(ctx, r) },
		opDown:     h.end,
	})
}

func (h *Holding) describe(ctx context.Context, r *wire.Request) error {
	memory, err := h.lab.Memory(ctx)
	if err != nil {
		return err
	}
	return r.Reply(Description{State: h.state, Memory: memory, Facts: h.lab.Facts()})
}

// end takes the lab down before it answers, so that who asked finds it gone.
func (h *Holding) end(r *wire.Request) error {
	err := errors.Join(h.lab.Down(context.Background()), h.folder.remove(h.state.ID))
	if err == nil {
		err = r.Reply(nil)
	}
	h.down()
	return err
}

func (h *Holding) run(ctx context.Context, r *wire.Request) error {
	var q runRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	n, err := h.lab.Node(q.Node)
	if err != nil {
		return err
	}
	// a caller that goes away takes its command along
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { r.Gone(); cancel() }()
	command := topology.Command{Argv: q.Argv, Env: q.Env}
	if q.Terminal {
		return onTerminal(ctx, n, command, r)
	}
	if len(r.Files) != 3 {
		return fmt.Errorf("run %s: %d streams instead of 3", q.Argv[0], len(r.Files))
	}
	command.Stdin, command.Stdout, command.Stderr = r.Files[0], r.Files[1], r.Files[2]
	result, err := n.Run(ctx, command)
	if err != nil {
		return err
	}
	return r.Reply(runReply{Exit: result.Exit, Signal: result.Signal})
}

func onTerminal(ctx context.Context, n topology.Node, c topology.Command, r *wire.Request) error {
	t, ok := n.(topology.Terminals)
	if !ok {
		return fmt.Errorf("%s has no terminals", n.Name())
	}
	terminal, p, err := t.Terminal(ctx, c)
	if err != nil {
		return err
	}
	err = r.Reply(nil, terminal)
	_ = terminal.Close()
	if err != nil {
		return errors.Join(err, p.Kill())
	}
	result, err := p.Wait(ctx)
	if err != nil {
		return err
	}
	return r.Reply(runReply{Exit: result.Exit, Signal: result.Signal})
}
