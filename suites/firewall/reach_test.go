package firewall_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("who may reach whom", func() {
	site := harness.Site()
	batches := flow.Batches(flow.Matrix(site), site)

	for _, q := range questions(site, batches[0]) {
		It(q.title, func(ctx SpecContext) {
			harness.Promise(q.rows[0].Promise)
			harness.Judge(ctx, harness.SharedLab(ctx), q.promise, q.rows...)
		}, SpecTimeout(2*time.Minute))
	}

	// Connections to a rate-limited service beyond the limit would be judged by
	// those before them. They get labs in which nobody has asked yet.
	for i, batch := range batches[1:] {
		It(fmt.Sprintf("and the same of a limited service, asked again in fresh lab %d of %d", i+1, len(batches)-1), func(ctx SpecContext) {
			harness.Promise("reach")
			lab := harness.NewLab(ctx)
			for _, q := range questions(site, batch) {
				harness.Judge(ctx, lab, q.promise, q.rows...)
			}
		}, SpecTimeout(2*time.Minute))
	}

	for _, line := range flow.Idle(site) {
		It(line.Text+": there is such a flow", func() {
			harness.CouldNotTest("%s: %s names no flow: the nodes share no family there", line.At, line.Text)
		})
	}
})

// question is rows that one sentence asks about.
type question struct {
	title   string // of the spec
	promise string // as a finding names it
	rows    []flow.Row
}

// questions are the lines of promises.reach, and for each pair of nodes
// everything else.
func questions(site *topology.Site, rows []flow.Row) []question {
	var out []question
	asked := map[topology.Position]bool{} // one line may stand for several networks
	for _, line := range site.Promises.Reach {
		if open := promisedBy(line, rows); len(open) > 0 && !asked[line.At] {
			asked[line.At] = true
			out = append(out, question{line.Text + ": each is open", line.Text, open})
		}
	}
	for _, pair := range pairs(closed(rows)) {
		title := fmt.Sprintf("nothing else from %s reaches %s", pair[0].Flow.From, pair[0].Flow.To)
		out = append(out, question{title, title, pair})
	}
	return out
}

func promisedBy(line topology.Reach, rows []flow.Row) []flow.Row {
	var out []flow.Row
	for _, r := range rows {
		if r.Want == flow.WantOpen && r.At == line.At {
			out = append(out, r)
		}
	}
	return out
}

func closed(rows []flow.Row) []flow.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r flow.Row) bool { return r.Want == flow.WantOpen })
}

// pairs groups rows by source and target, in the site's order.
func pairs(rows []flow.Row) [][]flow.Row {
	var out [][]flow.Row
	at := map[[2]string]int{}
	for _, r := range rows {
		key := [2]string{r.Flow.From, r.Flow.To}
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}
