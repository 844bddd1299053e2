package firewall_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// A filter that was written for IPv4 and forgotten for IPv6 is the most common
// hole in designs of this kind, so it has a spec of its own beside the matrix.
var _ = Describe("IPv6 opens what IPv4 opens, and no more", func() {
	site := harness.Site()
	for _, rows := range pairs(bothFamilies(flow.Batches(flow.Matrix(site), site)[0])) {
		from, to, over := rows[0].Flow.From, rows[0].Flow.To, rows[0].Flow.Over
		It(fmt.Sprintf("from %s to %s over %s", from, to, over), func(ctx SpecContext) {
			harness.Promise("parity")
			flows := make([]flow.Flow, len(rows))
			for i, r := range rows {
				flows[i] = r.Flow
			}
			subject := fmt.Sprintf("%s -> %s over %s", from, to, over)
			harness.Subject(subject)
			probes := harness.Probe(ctx, harness.SharedLab(ctx), flows...)
			open := map[flow.Family][]string{}
			for _, p := range probes {
				if p.Saw == flow.Unknown {
					harness.CouldNotTest("%s: %s", p.Flow, p.Why)
				}
				if p.Saw == flow.Open {
					open[p.Flow.Family] = append(open[p.Flow.Family], p.Flow.Service.Name)
				}
			}
			harness.Judged(len(flows))
			odd, differs := oddOneOut(probes, open)
			if !differs {
				return
			}
			cause, change := flow.Explain(site, odd, flow.Row{Flow: odd.Flow, Want: otherwise(odd.Saw), Promise: "parity"})
			harness.Report(evidence.Finding{
				Promise: "parity", Title: "IPv6 opens what IPv4 opens, and no more", Flow: subject,
				Expected: "both families open " + list(open[flow.IPv4]), Seen: "IPv6 opens " + list(open[flow.IPv6]),
				Cause: cause, Change: change, Node: to, At: rows[0].At,
			})
		}, SpecTimeout(2*time.Minute))
	}
})

// oddOneOut is the first IPv6 probe that went another way than IPv4's.
func oddOneOut(probes []flow.Probe, open map[flow.Family][]string) (flow.Probe, bool) {
	for _, p := range probes {
		if p.Flow.Family == flow.IPv6 && slices.Contains(open[flow.IPv4], p.Flow.Service.Name) != (p.Saw == flow.Open) {
			return p, true
		}
	}
	return flow.Probe{}, false
}

// otherwise is what parity wanted of a probe that went its own way.
func otherwise(v flow.Verdict) flow.Want {
	if v == flow.Open {
		return flow.WantClosed
	}
	return flow.WantOpen
}

// bothFamilies keeps the flows over networks on which both ends have both.
// A rate-limited service is left to the matrix: asked twice in one lab, the
// second answer would be the limit's.
func bothFamilies(rows []flow.Row) []flow.Row {
	families := map[string]map[flow.Family]bool{}
	key := func(f flow.Flow) string { return f.From + " " + f.To + " " + f.Over }
	for _, r := range rows {
		if families[key(r.Flow)] == nil {
			families[key(r.Flow)] = map[flow.Family]bool{}
		}
		families[key(r.Flow)][r.Flow.Family] = true
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r flow.Row) bool {
		f := families[key(r.Flow)]
		return r.Flow.Family == flow.LinkLocal || limited(r.Flow) || !f[flow.IPv4] || !f[flow.IPv6] || !sameFamilies(r.Flow)
	})
}

func limited(f flow.Flow) bool {
	return slices.ContainsFunc(harness.Site().Promises.Limits, func(l topology.Limit) bool {
		return l.Node == f.To && l.Service == f.Service.Name
	})
}

// sameFamilies says whether the source has both families there, too.
func sameFamilies(f flow.Flow) bool {
	from, ok := harness.Site().Machine(f.From)
	if !ok {
		return false
	}
	var four, six bool
	for _, a := range from.Addresses(f.Over) {
		four, six = four || a.Is4(), six || a.Is6()
	}
	return four && six
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
