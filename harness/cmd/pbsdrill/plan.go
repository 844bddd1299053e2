package main

import (
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// plan is what would be judged.
type plan struct {
	Site      string         `json:"site"`
	About     string         `json:"about,omitempty"`
	Nodes     []planNode     `json:"nodes"`
	Networks  []planNetwork  `json:"networks"`
	Rows      []flow.Row     `json:"rows"`
	Counts    map[string]int `json:"counts"` // want → flows
	Others    []planPromise  `json:"others"` // promises that are no flows
	Idle      []planPromise  `json:"idle"`   // lines of reach that name no flow
	Undecided []planPromise  `json:"undecided"`
	Waivers   int            `json:"waivers"`
	Specs     []listedSpec   `json:"specs,omitempty"`
}

type planNode struct {
	Name      string   `json:"name"`
	Role      string   `json:"role"`
	Addresses []string `json:"addresses"`
}

type planNetwork struct {
	Name   string `json:"name"`
	Tunnel bool   `json:"tunnel,omitempty"`
	IPv4   string `json:"ipv4,omitempty"`
	IPv6   string `json:"ipv6,omitempty"`
}

type planPromise struct {
	Promise string            `json:"promise"`
	Text    string            `json:"text"`
	At      topology.Position `json:"at"`
}

func (a *app) planCommand() *cobra.Command {
	var specs bool
	var moduleDir string
	c := &cobra.Command{
		Use:   "plan SITE",
		Short: "Say what would be judged, without running it",
		Long: `Prints every flow that would be tried, what it has to be, and the line of
site.yaml that says so; then the promises that are no flows, and those that this
release cannot judge. With --specs also the specs of each suite, for which the
suites are built.`,
		Example: `  pbsdrill plan fixtures/sites/homelab-vps | grep ' open '
  pbsdrill plan --json fixtures/sites/homelab-vps | jq .counts`,
		Args: named("SITE"),
		RunE: func(c *cobra.Command, args []string) error { return a.plan(c, args[0], specs, moduleDir) },
	}
	c.Flags().BoolVar(&specs, "specs", false, "also name the specs")
	c.Flags().StringVar(&moduleDir, "module", "", "the clone that holds the suites (default: found from here, or from this binary)")
	return c
}

func (a *app) plan(c *cobra.Command, dir string, specs bool, moduleDir string) error {
	site, err := load(dir)
	if err != nil {
		return err
	}
	p := planOf(site)
	if specs {
		if p.Specs, err = a.specsOf(c, site, moduleDir); err != nil {
			return err
		}
	}
	return a.print(p, func() { a.planText(p) })
}

func (a *app) specsOf(c *cobra.Command, site *topology.Site, moduleDir string) ([]listedSpec, error) {
	d := drill{limit: listLimit}
	if err := a.prepare(c, &d, moduleDir, []string{site.Dir}); err != nil {
		return nil, err
	}
	return a.list(c.Context(), d)
}

func planOf(site *topology.Site) plan {
	p := plan{Site: site.Name, About: site.About, Rows: flow.Matrix(site), Counts: map[string]int{},
		Others: []planPromise{}, Idle: []planPromise{}, Undecided: []planPromise{}}
	for _, m := range site.Nodes {
		n := planNode{Name: m.Name, Role: m.Role, Addresses: []string{}}
		for _, on := range m.On {
			for _, address := range on.Addresses {
				n.Addresses = append(n.Addresses, on.Network+" "+address.String())
			}
		}
		p.Nodes = append(p.Nodes, n)
	}
	for _, n := range site.Networks {
		p.Networks = append(p.Networks, planNetwork{n.Name, n.Tunnel, prefix(n.IPv4), prefix(n.IPv6)})
	}
	for _, r := range p.Rows {
		p.Counts[string(r.Want)]++
	}
	p.promises(site)
	for _, w := range site.Waivers {
		p.Waivers += len(w.Flows)
	}
	return p
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func (p *plan) promises(site *topology.Site) {
	all := site.Promises
	other := func(promise, text string, at topology.Position) {
		p.Others = append(p.Others, planPromise{promise, text, at})
	}
	for _, l := range all.Limits {
		other("limits", l.Text, l.At)
	}
	for _, l := range all.Logins {
		other("logins", l.Text, l.At)
	}
	for _, l := range all.Leaves {
		other("leaves", l.Text, l.At)
	}
	for _, l := range all.Persist {
		other("persist", l.Node, l.At)
	}
	for _, l := range flow.Idle(site) {
		p.Idle = append(p.Idle, planPromise{"reach", l.Text, l.At})
	}
	for _, u := range all.Undecided {
		p.Undecided = append(p.Undecided, planPromise{u.Name, "", u.At})
	}
}

func (a *app) planText(p plan) {
	fmt.Fprintf(a.out, "%s\n", a.paint(bold, p.Site))
	if p.About != "" {
		fmt.Fprintf(a.out, "%s\n", p.About)
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t)
	for _, n := range p.Nodes {
		fmt.Fprintf(t, "node\t%s\t%s\t%s\n", n.Name, n.Role, strings.Join(n.Addresses, ", "))
	}
	for _, n := range p.Networks {
		kind := "network"
		if n.Tunnel {
			kind = "tunnel"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", kind, n.Name, strings.TrimSpace(n.IPv4+" "+n.IPv6))
	}
	fmt.Fprintln(t)
	for _, r := range p.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Want, r.Flow, target(r.Flow), r.Promise, r.At)
	}
	fmt.Fprintln(t)
	for _, o := range p.Others {
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.Promise, o.Text, o.At)
	}
	for _, o := range p.Idle {
		fmt.Fprintf(t, "idle\t%s\t%s\tnames no flow\n", o.Text, o.At)
	}
	for _, o := range p.Undecided {
		fmt.Fprintf(t, "%s\tnot judged by this release\t%s\n", o.Promise, o.At)
	}
	_ = t.Flush() // as any other print
	for _, s := range p.Specs {
		fmt.Fprintln(a.out, s)
	}
	fmt.Fprintf(a.out, "\n%s: %d must be open, %d closed, %d dropped; %s; %s waived\n", counted(len(p.Rows), "flow"),
		p.Counts[string(flow.WantOpen)], p.Counts[string(flow.WantClosed)], p.Counts[string(flow.WantSilent)],
		counted(len(p.Others), "other promise"), counted(p.Waivers, "finding"))
	if len(p.Specs) > 0 {
		fmt.Fprintln(a.out, counted(len(p.Specs), "spec"))
	}
}

// target is the address that a flow goes to; a link-local one is known only
// when the lab runs.
func target(f flow.Flow) string {
	switch {
	case !f.Address.IsValid():
		return "[fe80::…]"
	case f.Service.Port == 0:
		return f.Address.String()
	}
	return netip.AddrPortFrom(f.Address, f.Service.Port).String()
}
