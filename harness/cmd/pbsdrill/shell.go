package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/pbsdrill/pbsdrill/harness/holder"
	"github.com/pbsdrill/pbsdrill/topology"
)

func (a *app) labShellCommand() *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "shell NODE [-- COMMAND…]",
		Short: "Enter a node of a lab that is up",
		Long: `Opens a shell on the node, or runs the command there. Ends with the exit code of
what ran.`,
		Example: `  pbsdrill lab shell vps
  pbsdrill lab shell --lab=4f1c2a vps -- tcpdump -ni wg0
  pbsdrill lab shell pbs-local -- nft list ruleset > rules.txt`,
		Args: func(c *cobra.Command, args []string) error {
			dash := c.ArgsLenAtDash()
			if dash < 0 {
				dash = len(args)
			}
			return named("NODE")(c, args[:dash])
		},
		RunE: func(c *cobra.Command, args []string) error {
			argv := args[1:]
			if len(argv) == 0 {
				argv = []string{"bash", "-l"}
			}
			return a.labShell(c.Context(), id, args[0], argv)
		},
	}
	c.Flags().StringVar(&id, "lab", "", "the lab's id, where several are up")
	return c
}

func (a *app) labShell(ctx context.Context, id, node string, argv []string) error {
	folder := holder.Default()
	states, err := folder.List()
	if err != nil {
		return err
	}
	s, err := choose(states, id, node)
	if err != nil {
		return err
	}
	c, err := folder.Connect(s.ID)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	defer c.Close() //nolint:errcheck // what ran has ended
	code, err := a.runOver(ctx, c, node, argv)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	if code != 0 {
		return exit(code)
	}
	return nil
}

func (a *app) runOver(ctx context.Context, c *holder.Client, node string, argv []string) (int, error) {
	if !a.terminal {
		in, out, failed := a.files()
		if failed != nil {
			return 0, failed
		}
		return c.Run(ctx, node, argv, in, out[0], out[1])
	}
	terminal, p, err := c.Terminal(ctx, node, argv, terminalEnv())
	if err != nil {
		return 0, err
	}
	return sit(ctx, terminal, p)
}

// files are our streams as descriptors, to be handed over.
func (a *app) files() (*os.File, [2]*os.File, error) {
	in, ok1 := a.in.(*os.File)
	out, ok2 := a.out.(*os.File)
	errs, ok3 := a.err.(*os.File)
	if !ok1 || !ok2 || !ok3 {
		return nil, [2]*os.File{}, errors.New("our streams are no files")
	}
	return in, [2]*os.File{out, errs}, nil
}

// terminalEnv is what a program needs to know of the terminal.
func terminalEnv() []string {
	return []string{"TERM=" + os.Getenv("TERM")}
}

// sit connects our terminal with one in a node until the process there ends.
func sit(ctx context.Context, terminal *os.File, p topology.Process) (int, error) {
	defer terminal.Close() //nolint:errcheck // the other end has gone
	in := int(os.Stdin.Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("take the terminal: %w", err), p.Kill())
	}
	defer func() { _ = term.Restore(in, before) }()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	go func() {
		for ; ; <-resized {
			if size, err := unix.IoctlGetWinsize(in, unix.TIOCGWINSZ); err == nil {
				_ = unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size)
			}
		}
	}()
	shown := make(chan struct{})
	go func() { _, _ = io.Copy(os.Stdout, terminal); close(shown) }()
	go func() { _, _ = io.Copy(terminal, os.Stdin) }() // ends with this process
	r, err := p.Wait(ctx)
	select {
	case <-shown: // EIO: nobody holds the other end any more
	case <-ctx.Done():
	}
	return r.Exit, err
}
