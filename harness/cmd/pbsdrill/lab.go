package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/holder"
	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// upLimit is when bringing a lab up is given up; it takes half a second. The
// root file system is made before, and has a limit of its own.
const upLimit = 2 * time.Minute

// downLimit is when taking one down is given up.
const downLimit = 20 * time.Second

func (a *app) labCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "Keep labs to look around in, or run one command in one",
		Example: `  pbsdrill lab run fixtures/sites/homelab-vps vps -- wg show
  pbsdrill lab up fixtures/sites/homelab-vps
  pbsdrill lab shell vps
  pbsdrill lab down --all`,
		Args: onlyCommands,
		RunE: helpOnly,
	}
	c.AddCommand(a.labUpCommand(), a.labShellCommand(), a.labPsCommand(), a.labDownCommand(), a.labRunCommand())
	return c
}

func (a *app) labRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run SITE NODE -- COMMAND…",
		Short: "Bring a site up, run a command on a node, take it down",
		Long: `Brings the site up, runs the command on the node with your standard streams (on
a terminal of its own where you have one), and takes the lab down.

Ends with the command's exit code.`,
		Example: `  pbsdrill lab run fixtures/sites/homelab-vps vps -- nft list ruleset
  pbsdrill lab run fixtures/sites/homelab-vps pbs-local -- bash
  echo 'ping -c1 10.200.0.2' | pbsdrill lab run ~/my-house vps -- sh`,
		Args: func(c *cobra.Command, args []string) error {
			before := args
			if dash := c.ArgsLenAtDash(); dash >= 0 {
				before = args[:dash]
			}
			if len(before) >= 2 && len(before) == len(args) {
				return fail(Usage, "%s: the command is missing: put it behind --, as in: pbsdrill lab run SITE NODE -- wg show", commandOf(c))
			}
			return named("SITE", "NODE")(c, before)
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.labRun(c.Context(), args[0], args[1], args[2:])
		},
	}
}

func (a *app) labRun(ctx context.Context, dir, node string, argv []string) error {
	site, err := load(dir)
	if err != nil {
		return err
	}
	if err := hasNode(site, node); err != nil {
		return err
	}
	lab, err := a.up(ctx, site, fmt.Sprintf("run-%d", os.Getpid()))
	if err != nil {
		return err
	}
	exitCode, err := a.runIn(ctx, lab, node, argv)
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), downLimit)
	defer cancel()
	if err := lab.Down(down); err != nil {
		return failure{HandsNeeded, err}
	}
	if err != nil {
		return err
	}
	if exitCode != 0 {
		return exit(exitCode)
	}
	return nil
}

func hasNode(site *topology.Site, name string) error {
	names := nodeNames(site)
	if slices.Contains(names, name) {
		return nil
	}
	return fail(Usage, "%s has no node %q%s", site.Name, name, wayOut(name, names))
}

func nodeNames(site *topology.Site) []string {
	names := make([]string, len(site.Nodes))
	for i, n := range site.Nodes {
		names[i] = n.Name
	}
	return names
}

// runIn runs a command with our streams: on a terminal where we have one.
func (a *app) runIn(ctx context.Context, lab topology.Lab, node string, argv []string) (int, error) {
	n, err := lab.Node(node)
	if err != nil {
		return 0, failure{CouldNotTest, err}
	}
	if t, ok := n.(topology.Terminals); ok && a.terminal {
		terminal, p, err := t.Terminal(ctx, topology.Command{Argv: argv, Env: terminalEnv()})
		if err != nil {
			return 0, failure{CouldNotTest, err}
		}
		return sit(ctx, terminal, p)
	}
	r, err := n.Run(ctx, topology.Command{Argv: argv, Stdin: a.in, Stdout: a.out, Stderr: a.err})
	if err != nil {
		return 0, failure{CouldNotTest, err}
	}
	return r.Exit, nil
}

// up brings a site up, with progress, and names the units that failed.
func (a *app) up(ctx context.Context, site *topology.Site, mark string) (*netns.Lab, error) {
	if _, err := a.makeRoot(ctx, site); err != nil {
		return nil, failure{CouldNotTest, err}
	}
	p := a.progress("bringing "+site.Name+" up", upLimit)
	defer p.end()
	within, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	lab, err := netns.Up(within, site, netns.Options{Progress: p.say, Mark: mark})
	p.end()
	if err != nil {
		return nil, failure{CouldNotTest, err}
	}
	for _, line := range troubled(ctx, lab) {
		fmt.Fprintln(a.err, line)
	}
	return lab, nil
}

// troubled is one line for each unit that failed.
func troubled(ctx context.Context, lab topology.Lab) []string {
	var lines []string
	for _, name := range nodeNames(lab.Site()) {
		n, err := lab.Node(name)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		b, ok := n.(topology.Booted)
		if !ok {
			continue
		}
		units, err := b.Units(ctx)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", name, err))
		}
		for _, u := range units {
			if u.State == "failed" {
				lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s: %s failed: %s %s", name, u.Name, u.Result, u.Position)))
			}
		}
	}
	return lines
}

func (a *app) labPsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ps",
		Short:   "List the labs that are up",
		Example: "  pbsdrill lab ps --json",
		Args:    named(),
		RunE:    func(c *cobra.Command, _ []string) error { return a.labPs(c.Context()) },
	}
}

// standing is a lab as ps shows it.
type standing struct {
	holder.Description
	Alive bool    `json:"alive"`
	Age   float64 `json:"ageSeconds"`
}

func (a *app) labPs(ctx context.Context) error {
	folder := holder.Default()
	states, err := folder.List()
	if err != nil {
		return err
	}
	all := []standing{}
	for _, s := range states {
		one := standing{Description: holder.Description{State: s}, Age: time.Since(s.Started).Seconds()}
		if d, err := describe(ctx, folder, s.ID); err == nil {
			one.Description, one.Alive = d, true
		}
		all = append(all, one)
	}
	return a.print(all, func() {
		if len(all) == 0 {
			fmt.Fprintln(a.err, "no lab is up")
		}
		for _, s := range all {
			a.standingText(s)
		}
	})
}

func describe(ctx context.Context, folder holder.Folder, id string) (holder.Description, error) {
	c, err := folder.Connect(id)
	if err != nil {
		return holder.Description{}, err
	}
	defer c.Close() //nolint:errcheck // it has answered
	return c.Describe(ctx)
}

func (a *app) standingText(s standing) {
	if !s.Alive {
		fmt.Fprintf(a.out, "%s  %s  dead; pbsdrill sweep shows what it left\n", s.ID, s.Site)
		return
	}
	fmt.Fprintf(a.out, "%s  %s  up for %s, %s\n", s.ID, s.Site, (time.Duration(s.Age) * time.Second).String(), counted(len(s.Nodes), "node"))
	for _, n := range s.Nodes {
		fmt.Fprintf(a.out, "    %-20s %5.1f MiB\n", n, float64(s.Memory[n])/(1<<20))
	}
}

func (a *app) labDownCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "down [ID]",
		Short: "Take a lab down",
		Example: `  pbsdrill lab down           the only one
  pbsdrill lab down 4f1c2a
  pbsdrill lab down --all`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return named("ID")(c, args)
			}
			if all && len(args) == 1 {
				return fail(Usage, "lab down: either %s or --all", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.labDown(c.Context(), all, args) },
	}
	c.Flags().BoolVar(&all, "all", false, "take all labs of yours down")
	return c
}

func (a *app) labDown(ctx context.Context, all bool, args []string) error {
	folder := holder.Default()
	states, err := folder.List()
	if err != nil {
		return err
	}
	if !all {
		one, err := choose(states, strings.Join(args, ""), "")
		if err != nil {
			return err
		}
		states = []holder.State{one}
	}
	var errs []error
	for _, s := range states {
		if err := down(ctx, folder, s); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(a.out, "%s  %s  down\n", s.ID, s.Site)
	}
	if err := errors.Join(errs...); err != nil {
		return failure{HandsNeeded, err}
	}
	return nil
}

func down(ctx context.Context, folder holder.Folder, s holder.State) error {
	if !s.Alive() {
		return folder.Forget(s)
	}
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	c, err := folder.Connect(s.ID)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it has answered
	return c.Down(ctx)
}

// choose finds the lab that is meant: by its id, else the only one, or the only
// one with that node.
func choose(states []holder.State, id, node string) (holder.State, error) {
	if len(states) == 0 {
		return holder.State{}, fail(Usage, "no lab is up; pbsdrill lab up SITE")
	}
	var ids, fit []string
	var found holder.State
	for _, s := range states {
		ids = append(ids, s.ID)
		if s.ID == id {
			return s, nil
		}
		if id == "" && (node == "" || slices.Contains(s.Nodes, node)) {
			fit, found = append(fit, s.ID), s
		}
	}
	switch {
	case id != "":
		return found, fail(Usage, "there is no lab %q%s", id, wayOut(id, ids))
	case len(fit) > 1:
		return found, fail(Usage, "several labs are up; say which: %s", strings.Join(fit, ", "))
	case len(fit) == 0:
		return found, fail(Usage, "no lab has a node %q%s", node, wayOut(node, nodesOf(states)))
	}
	return found, nil
}

func nodesOf(states []holder.State) []string {
	var all []string
	for _, s := range states {
		all = append(all, s.Nodes...)
	}
	return all
}
