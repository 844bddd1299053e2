package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// measured is one line of bench: a value and what it should stay below.
type measured struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  float64 `json:"goal"`
	Met   bool    `json:"met"`
	Bound string  `json:"bound"` // what the value hangs on
}

// repeats is how often a short measurement is made; the median counts.
const repeats = 5

// matrixFlows is how many flows the matrix is measured with.
const matrixFlows = 500

func (a *app) benchCommand() *cobra.Command {
	var output string
	var quick bool
	c := &cobra.Command{
		Use:   "bench [SITE]",
		Short: "Measure boot, matrix, memory and drill against their goals",
		Long: `Measures how long a lab takes to come up (every unit active, a packet through
the tunnel), to go down, to judge a matrix of 500 flows, what an idle node costs,
and how long a drill takes. The goals are for two processors and no root.`,
		Example: `  pbsdrill bench
  pbsdrill bench --quick --output=bench.json`,
		Hidden: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return named("SITE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.bench(c.Context(), args, output, quick) },
	}
	c.Flags().StringVar(&output, "output", "", "also write the measurements here, as JSON")
	c.Flags().BoolVar(&quick, "quick", false, "leave out the drills, which take longest")
	return c
}

func (a *app) bench(ctx context.Context, args []string, output string, quick bool) error {
	site, err := siteOr(args)
	if err != nil {
		return err
	}
	if _, err := a.makeRoot(ctx, site); err != nil {
		return failure{CouldNotTest, err}
	}
	p := a.progress("measuring labs", 0)
	defer p.end()
	all, err := measureLabs(ctx, site, p)
	if err == nil && !quick {
		var drills []measured
		drills, err = measureDrills(ctx, site, p)
		all = append(all, drills...)
	}
	p.end()
	if err != nil {
		return failure{CouldNotTest, err}
	}
	if output != "" {
		text, err := json.MarshalIndent(all, "", "  ")
		if err == nil {
			err = os.MkdirAll(filepath.Dir(output), 0o755)
		}
		if err == nil {
			err = evidence.WriteFile(output, append(text, '\n'))
		}
		if err != nil {
			return failure{CouldNotTest, err}
		}
	}
	return a.print(all, func() { a.benchText(all) })
}

func (a *app) benchText(all []measured) {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tname\tvalue\tgoal\tbound by")
	for _, m := range all {
		sign := "ok"
		if !m.Met {
			sign = "over"
		}
		fmt.Fprintf(t, "%s\t%s\t%.3g %s\t%.3g %s\t%s\n", sign, m.Name, m.Value, m.Unit, m.Goal, m.Unit, m.Bound)
	}
	_ = t.Flush()
}

func below(name string, value float64, unit string, goal float64, bound string) measured {
	return measured{name, value, unit, goal, value <= goal, bound}
}

func measureLabs(ctx context.Context, site *topology.Site, p *progress) ([]measured, error) {
	var ups, downs []float64
	for i := range repeats {
		p.say(fmt.Sprintf("measuring labs, %d/%d", i+1, repeats))
		begun := time.Now()
		lab, err := tunnelled(ctx, site)
		if err != nil {
			return nil, err
		}
		ups = append(ups, time.Since(begun).Seconds())
		begun = time.Now()
		if err := lab.Down(ctx); err != nil {
			return nil, err
		}
		downs = append(downs, time.Since(begun).Seconds())
	}
	p.say("measuring the matrix")
	rest, err := measureOne(ctx, site)
	if err != nil {
		return nil, err
	}
	return append([]measured{
		below("up", median(ups), "s", 0.5, "overlay mounts, wg-quick and nft in the nodes: forks on two processors"),
		below("down", median(downs), "s", 0.2, "the kernel ending namespaces"),
	}, rest...), nil
}

// tunnelled brings a lab up until a packet has gone through each tunnel, and
// every unit is active.
func tunnelled(ctx context.Context, site *topology.Site) (*netns.Lab, error) {
	lab, err := netns.Up(ctx, site, netns.Options{Mark: fmt.Sprintf("bench-%d", os.Getpid())})
	if err != nil {
		return nil, err
	}
	err = throughTunnels(ctx, lab)
	if trouble := troubled(ctx, lab); err == nil && len(trouble) > 0 {
		err = fmt.Errorf("not every unit came up: %q", trouble)
	}
	if err != nil {
		return nil, errors.Join(err, lab.Down(ctx))
	}
	return lab, nil
}

// throughTunnels has each ping that is promised over a tunnel answered.
func throughTunnels(ctx context.Context, lab topology.Lab) error {
	through := 0
	for _, r := range flow.Matrix(lab.Site()) {
		network, ok := lab.Site().Network(r.Flow.Over)
		if !ok || !network.Tunnel || r.Want != flow.WantOpen || r.Flow.Service.Protocol != "icmp" {
			continue
		}
		n, err := lab.Node(r.Flow.From)
		if err != nil {
			return err
		}
		answer, err := n.Run(ctx, topology.Command{Argv: []string{"ping", "-c1", "-W5", r.Flow.Address.String()}})
		if err != nil {
			return err
		}
		if answer.Exit != 0 {
			return fmt.Errorf("%s is not open: %s", r.Flow, answer.Stdout)
		}
		through++
	}
	if through == 0 {
		return fmt.Errorf("%s promises no ping over a tunnel, so a handshake cannot be seen", lab.Site().Name)
	}
	return nil
}

// measureOne takes what can be had from one lab: memory while it is idle, then
// the matrix.
func measureOne(ctx context.Context, site *topology.Site) ([]measured, error) {
	lab, err := tunnelled(ctx, site)
	if err != nil {
		return nil, err
	}
	memory, err := lab.Memory(ctx)
	if err != nil {
		return nil, errors.Join(err, lab.Down(ctx))
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(memory)), func(a, b string) int { return int(memory[a] - memory[b]) })
	took, n, err := measureMatrix(ctx, lab)
	if err := errors.Join(err, lab.Down(ctx)); err != nil {
		return nil, err
	}
	return []measured{
		below(fmt.Sprintf("matrix of %d flows", n), took, "s", 5, "waiting for answers that do not come, at closed ports"),
		below("idle node ("+most+")", float64(memory[most])/(1<<20), "MiB", 20, "proportional memory of agent, sshd, and userspace WireGuard where there is no other"),
	}, nil
}

// measureMatrix judges flows from all over the matrix.
func measureMatrix(ctx context.Context, lab topology.Lab) (seconds float64, flows int, err error) {
	rows := flow.Batches(flow.Matrix(lab.Site()), lab.Site())[0]
	var asked []flow.Flow
	for i := range min(matrixFlows, len(rows)) {
		asked = append(asked, rows[i*len(rows)/min(matrixFlows, len(rows))].Flow)
	}
	begun := time.Now()
	prober, err := flow.NewProber(ctx, lab, flow.Options{Seed: 1})
	if err != nil {
		return 0, 0, err
	}
	probes, err := prober.Probe(ctx, asked...)
	took := time.Since(begun).Seconds()
	if err := errors.Join(err, prober.Close(ctx)); err != nil {
		return 0, 0, err
	}
	unknown := 0
	for _, p := range probes {
		if p.Saw == flow.Unknown {
			unknown++
		}
	}
	if unknown > 0 {
		return 0, 0, fmt.Errorf("%d of %d flows could not be told: a time for that says nothing", unknown, len(probes))
	}
	return took, len(probes), nil
}

// measureDrills runs this program as a user would.
func measureDrills(ctx context.Context, site *topology.Site, p *progress) ([]measured, error) {
	var all []measured
	for _, d := range []struct {
		name, filter string
		goal         float64
		bound        string
	}{
		{"drill without slow specs", "!slow", 30, "building the suites, and labs that specs do not share"},
		{"drill", "", 120, "rate limits that run on the kernel's clock, a minute each"},
	} {
		p.say("measuring: " + d.name)
		begun := time.Now()
		c := exec.CommandContext(ctx, "/proc/self/exe", "drill", site.Dir, "--label-filter="+d.filter)
		c.Stdout, c.Stderr = io.Discard, io.Discard
		err := c.Run()
		var exited *exec.ExitError
		if errors.As(err, &exited) && exited.ExitCode() == int(PromiseFails) {
			err = nil // it was judged, and that takes the same time
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		all = append(all, below(d.name, time.Since(begun).Seconds(), "s", d.goal, d.bound))
	}
	return all, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
