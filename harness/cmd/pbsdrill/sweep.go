package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/holder"
	"github.com/pbsdrill/pbsdrill/harness/sweep"
	"github.com/pbsdrill/pbsdrill/topology/netns"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

func (a *app) sweepCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Show what a crash left behind, and with --yes remove it",
		Long: `Labs leave nothing behind, however they end. What a crash of the machine, or the
kill of a command, can leave is a few files; this finds them, and any lab whose
owner is gone. It touches only what carries our mark.`,
		Example: `  pbsdrill sweep         shows
  pbsdrill sweep --yes   removes`,
		Args: named(),
		RunE: func(c *cobra.Command, _ []string) error { return a.sweep(c.Context(), yes) },
	}
	c.Flags().BoolVar(&yes, "yes", false, "remove what was found")
	return c
}

// swept is one line of sweep.
type swept struct {
	sweep.Remains
	Removed bool   `json:"removed"`
	Error   string `json:"error,omitempty"`
}

func (a *app) sweep(ctx context.Context, yes bool) error {
	places, err := sweepPlaces()
	if err != nil {
		return failure{CouldNotTest, err}
	}
	found, looking := sweep.Find(places...)
	all := []swept{}
	var errs []error
	for _, r := range found {
		one := swept{Remains: r}
		if yes {
			if err := r.Remove(ctx); err != nil {
				one.Error = err.Error()
				errs = append(errs, fmt.Errorf("remove %s: %w", r.What, err))
			}
			one.Removed = one.Error == ""
		}
		all = append(all, one)
	}
	err = a.print(all, func() {
		for _, s := range all {
			verb := "left   "
			if s.Removed {
				verb = "removed"
			}
			fmt.Fprintf(a.out, "%s  %-8s %s: %s\n", verb, s.Kind, s.What, s.Why)
		}
		switch {
		case len(all) == 0 && looking == nil:
			fmt.Fprintln(a.out, "Nothing was left behind.")
		case len(all) > 0 && !yes:
			fmt.Fprintln(a.err, "remove it: pbsdrill sweep --yes")
		}
	})
	if failed := errors.Join(errs...); failed != nil {
		return failure{HandsNeeded, errors.Join(failed, looking)}
	}
	if looking != nil {
		return failure{CouldNotTest, looking}
	}
	return err
}

func sweepPlaces() ([]sweep.Place, error) {
	cache, err := rootfs.DefaultCache()
	if err != nil {
		return nil, err
	}
	booted, err := sweep.Booted("/proc/stat")
	if err != nil {
		return nil, err
	}
	places := []sweep.Place{
		sweep.Labs{Folder: holder.Default()},
		sweep.Roots{Cache: cache, Remove: netns.RemoveRoot},
		sweep.Temporary{Dir: os.TempDir(), UID: os.Getuid()},
		sweep.Processes{Proc: "/proc", Kill: syscall.Kill},
	}
	// outside of a clone there are no runs to look at
	if m, err := findModule(""); err == nil {
		places = append(places, sweep.Binaries{Suites: filepath.Join(m.dir, "suites")}, sweep.Runs{Dir: filepath.Join(m.dir, "runs"), Since: booted})
	}
	return places, nil
}
