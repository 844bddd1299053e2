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

// A batch of the matrix fits one lab: connections to a rate-limited service
// beyond the limit would be judged by those before them.
var _ = Describe("who may reach whom", func() {
	site := harness.Site()
	batches := flow.Batches(flow.Matrix(site), site)

	for number, batch := range batches {
		lab := harness.SharedLab
		where := ""
		if number > 0 {
			lab = harness.NewLab
			where = fmt.Sprintf(" (where one address has asked often enough: fresh lab %d)", number)
		}
		for _, line := range site.Promises.Reach {
			rows := promisedBy(line, batch)
			if len(rows) == 0 {
				continue
			}
			It(line.Text+": each is open"+where, func(ctx SpecContext) {
				harness.Promise("reach")
				harness.Judge(ctx, lab(ctx), line.Text, rows...)
			}, SpecTimeout(2*time.Minute))
		}
		for _, rows := range pairs(closed(batch)) {
			from, to := rows[0].Flow.From, rows[0].Flow.To
			title := fmt.Sprintf("nothing else from %s reaches %s", from, to)
			It(title+where, func(ctx SpecContext) {
				harness.Promise(rows[0].Promise)
				harness.Judge(ctx, lab(ctx), title, rows...)
			}, SpecTimeout(2*time.Minute))
		}
	}

	for _, line := range flow.Idle(site) {
		It(line.Text+": there is such a flow", func() {
			harness.CouldNotTest("%s: %s names no flow: the nodes share no family there", line.At, line.Text)
		})
	}
})

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
