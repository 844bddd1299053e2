package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/topology"
)

// checked is what check prints as JSON.
type checked struct {
	Site     string            `json:"site"` // the folder, as it was given
	Name     string            `json:"name,omitempty"`
	OK       bool              `json:"ok"`
	Problems topology.Problems `json:"problems"`
	Counts   map[string]int    `json:"counts,omitempty"`
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check SITE",
		Short: "Name every mistake in a site, without running it",
		Long: `Reads site.yaml and every file of the nodes, strictly, and prints all problems at
once as FILE:LINE:COLUMN: what is wrong and the way out. It needs no privileges
and changes nothing.

Ends with 0 when there is none, else with 2.`,
		Example: `  pbsdrill check fixtures/sites/homelab-vps
  pbsdrill check --json ~/my-house | jq '.problems[].position'`,
		Args: named("SITE"),
		RunE: func(_ *cobra.Command, args []string) error { return a.check(args[0]) },
	}
}

func (a *app) check(dir string) error {
	site, err := topology.Load(dir)
	problems := topology.Problems{}
	if err != nil && !errors.As(err, &problems) {
		return failure{Usage, err}
	}
	result := checked{Site: dir, OK: len(problems) == 0, Problems: problems}
	if site != nil && result.OK {
		result.Name, result.Counts = site.Name, counts(site)
	}
	err = a.print(result, func() {
		for _, p := range problems {
			fmt.Fprintln(a.out, p)
		}
		if !result.OK {
			fmt.Fprintf(a.err, "%s: %s\n", dir, counted(len(problems), "problem"))
			return
		}
		n := result.Counts
		fmt.Fprintf(a.out, "%s: no problems (%s, %s, %s, %s)\n", site.Name, counted(n["nodes"], "node"),
			counted(n["networks"], "network"), counted(n["files"], "file"), counted(n["waivers"], "waiver"))
	})
	if err != nil || result.OK {
		return err
	}
	return exit(Usage)
}

func counts(s *topology.Site) map[string]int {
	n := map[string]int{"nodes": len(s.Nodes), "networks": len(s.Networks), "services": len(s.Services), "waivers": len(s.Waivers)}
	for _, m := range s.Nodes {
		n["files"] += len(m.Files)
	}
	return n
}

// load is a site for a command that runs it: its problems are a mistake of the
// command's user.
func load(dir string) (*topology.Site, error) {
	site, err := topology.Load(dir)
	if err != nil {
		return nil, failure{Usage, err}
	}
	return site, nil
}
