package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/topology"
)

// app is what all commands share.
type app struct {
	streams
	json bool
	// Tests replace what takes long to build: the ginkgo to run, "" being the
	// module's own, and the building of a suite's folder into a file.
	ginkgo     string
	buildSuite func(ctx context.Context, m module, suite, file string) error
}

// run is the whole program but for the exit.
func (a *app) run(ctx context.Context, args []string) Code {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		var e exit
		if !errors.As(err, &e) {
			err = failure{Interrupted, err}
		}
	}
	a.complain(err)
	return codeOf(err)
}

// complain prints an error as the house does: every problem of a site on its
// own line, each with its place.
func (a *app) complain(err error) {
	var e exit
	if err == nil || errors.As(err, &e) {
		return
	}
	var problems topology.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(a.err, problems.Error())
		fmt.Fprintf(a.err, "pbsdrill: %s\n", counted(len(problems), "problem"))
		return
	}
	fmt.Fprintf(a.err, "pbsdrill: %v\n", err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pbsdrill",
		Short: "Prove that an offsite backup design keeps its promises",
		Long: `Pbsdrill builds a homelab and its VPS out of the very files that the hosts run
on, and says promise by promise, with evidence, who can reach whom.

A site is a folder: site.yaml plus the files of each node.

Exit codes:
` + codeTable(),
		Example: `  pbsdrill doctor                          what this machine can do
  pbsdrill check fixtures/sites/homelab-vps   every mistake in a site, without running it
  pbsdrill plan fixtures/sites/homelab-vps    what would be judged
  pbsdrill drill fixtures/sites/homelab-vps   run it and judge it
  pbsdrill lab run fixtures/sites/homelab-vps vps -- nft list ruleset`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyCommands,
		RunE:          helpOnly,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print the result as JSON")
	root.SetFlagErrorFunc(flagProblem)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(a.benchCommand(), a.soakCommand(), a.doctorCommand(), a.planCommand(), a.reportCommand(), a.checkCommand(), a.drillCommand(), a.labCommand(), a.sweepCommand(),
		a.schemaCommand(), a.rootfsCommand(), a.versionCommand())
	return root
}

// helpOnly is what a command that only holds others does.
func helpOnly(c *cobra.Command, _ []string) error { return c.Help() }

// print writes a result: as JSON when that was asked for, else by text.
func (a *app) print(value any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// counted is "1 problem", "2 problems".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
