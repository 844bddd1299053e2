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
			open := map[flow.Family][]string{}
			for i, p := range harness.Probe(ctx, harness.SharedLab(ctx), flows...) {
				if p.Saw == flow.Unknown {
					harness.CouldNotTest("%s: %s", p.Flow, p.Why)
				}
				if p.Saw == flow.Open {
					open[flows[i].Family] = append(open[flows[i].Family], flows[i].Service.Name)
				}
			}
			harness.Judged(len(flows))
			if slices.Equal(open[flow.IPv4], open[flow.IPv6]) {
				return
			}
			harness.Report(evidence.Finding{
				Promise: "parity", Title: "IPv6 opens what IPv4 opens, and no more", Flow: subject,
				Expected: "both families open " + list(open[flow.IPv4]),
				Seen:     "IPv6 opens " + list(open[flow.IPv6]),
				Cause:    fmt.Sprintf("the filter of %s treats the families differently", to),
				Change:   fmt.Sprintf("give %s the same rules for IPv6 as for IPv4, and let ICMPv6's neighbour discovery in", to),
				Node:     to, At: rows[0].At,
			})
		}, SpecTimeout(2*time.Minute))
	}
})

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
