package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// rootLimit is when making a root file system is given up: 30 s of work, and a
// slow mirror.
const rootLimit = 10 * time.Minute

func (a *app) rootfsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rootfs [SITE]",
		Short: "Make the nodes' root file system, or say where it is",
		Long: `Every node runs on a Debian 13 root file system that is made once and kept. The
first lab makes it by itself; this makes it beforehand. With a site, it is the
one that the site asks for.`,
		Example: "  pbsdrill rootfs",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return named("SITE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.rootfs(c.Context(), args) },
	}
}

func (a *app) rootfs(ctx context.Context, args []string) error {
	site := &topology.Site{}
	if len(args) == 1 {
		loaded, err := load(args[0])
		if err != nil {
			return err
		}
		site = loaded
	}
	root, err := a.makeRoot(ctx, site)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	result := struct {
		Dir      string            `json:"dir"`
		Release  string            `json:"release"`
		SHA256   string            `json:"sha256"`
		Packages map[string]string `json:"packages"`
	}{root.Dir, root.Release, root.SHA256, root.Packages}
	return a.print(result, func() { fmt.Fprintf(a.out, "%s\n%s\n", root, root.Dir) })
}

func (a *app) makeRoot(ctx context.Context, site *topology.Site) (rootfs.Root, error) {
	p := a.progress("root file system", rootLimit)
	defer p.end()
	ctx, cancel := context.WithTimeout(ctx, rootLimit)
	defer cancel()
	return netns.Root(ctx, site, p.say)
}
