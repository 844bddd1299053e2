package holder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// ErrGone is what asking a holder that has ended gives.
var ErrGone = errors.New("the lab's holder has gone; pbsdrill sweep shows what it left")

// Client asks a holder.
type Client struct {
	wire *wire.Conn
}

// Connect connects to the holder of a lab.
func (f Folder) Connect(id string) (*Client, error) {
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: f.socket(id), Net: "unixpacket"})
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("lab %s: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", id, err)
	}
	file, err := c.File()
	_ = c.Close()
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", id, err)
	}
	w, err := wire.FromFile(file)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", id, err)
	}
	return &Client{w}, nil
}

// Close ends the connection, and with it what was started over it.
func (c *Client) Close() error { return c.wire.Close() }

// Describe asks for the lab's nodes, memory and facts.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	var d Description
	_, err := c.wire.Do(ctx, opDescribe, nil, &d)
	return d, err
}

// Down takes the lab down, and returns when nothing of it is left.
func (c *Client) Down(ctx context.Context) error {
	_, err := c.wire.Do(ctx, opDown, nil, nil)
	return err
}

// Run runs a command on a node with these streams, and returns its exit code.
func (c *Client) Run(ctx context.Context, node string, argv []string, in, out, err *os.File) (int, error) {
	var r runReply
	_, failed := c.wire.Do(ctx, opRun, runRequest{Node: node, Argv: argv}, &r, in, out, err)
	return r.Exit, failed
}

// Terminal runs a command on a new terminal of a node. The process's Wait
// gives its exit code.
func (c *Client) Terminal(ctx context.Context, node string, argv, env []string) (*os.File, topology.Process, error) {
	call, err := c.wire.Start(opRun, runRequest{Node: node, Argv: argv, Env: env, Terminal: true})
	if err != nil {
		return nil, nil, err
	}
	files, err := call.Next(ctx, nil)
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%d descriptors instead of a terminal", len(files))
	}
	if err != nil {
		return nil, nil, errors.Join(err, call.Close())
	}
	return files[0], remote{call}, nil
}

// remote is a command that a holder runs for us.
type remote struct{ call *wire.Call }

func (r remote) Wait(ctx context.Context) (topology.Result, error) {
	var reply runReply
	_, err := r.call.Next(ctx, &reply)
	return topology.Result{Exit: reply.Exit, Signal: reply.Signal}, errors.Join(err, r.call.Close())
}

func (r remote) Kill() error { return r.call.Close() }
