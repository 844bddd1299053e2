package unit

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Starter starts processes on a node. It is the node's PID 1, the only one
// that may wait for children.
type Starter interface {
	// Start runs a program in a session of its own and returns when the exec
	// has succeeded or failed. The context bounds the start, not the process.
	// What a program leaves behind when it ends by itself must live on: that
	// is how wg-quick starts its daemon.
	Start(ctx context.Context, e Exec) (Process, error)
}

// Exec is one program to run.
type Exec struct {
	Unit   string
	Path   string   // absolute
	Argv   []string // argv[0] included
	Env    []string // all of it
	Dir    string
	UID    uint32
	GID    uint32
	Groups []uint32
	Output *os.File // both streams; standard input is /dev/null
}

// Process is a program under way.
type Process interface {
	PID() int
	// Wait returns how it ended. It may be called more than once.
	Wait(ctx context.Context) (Exit, error)
	Signal(s syscall.Signal) error
	// Kill ends it and everything in its session at once.
	Kill() error
}

// Exit is how a program ended.
type Exit struct {
	Code   int
	Signal syscall.Signal // 0: it exited by itself
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("killed by %v", e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}
