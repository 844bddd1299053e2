package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

var _ topology.Terminals = (*node)(nil)

// Terminal starts a command on a new terminal of the node. The command's own
// streams are not used.
func (n *node) Terminal(ctx context.Context, c topology.Command) (*os.File, topology.Process, error) {
	if len(c.Argv) == 0 {
		return nil, nil, fmt.Errorf("%s: run: no command given", n.name)
	}
	p := &process{node: n, command: c, started: time.Now(), stdout: newKeeper(nil), stderr: newKeeper(nil)}
	call, err := n.agent.Start(opSpawn, spawnRequest{Argv: c.Argv, Env: c.Env, Dir: c.Dir, Terminal: true})
	if err != nil {
		return nil, nil, err
	}
	p.call = call
	var started spawnReply
	files, err := call.Next(ctx, &started)
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%d descriptors instead of a terminal", len(files))
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("%s: %w", n.name, err), p.close())
		n.record(c, topology.Result{}, err)
		return nil, nil, err
	}
	return files[0], p, nil
}
