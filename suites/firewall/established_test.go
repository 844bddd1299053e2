package firewall_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// Withdrawing a rule ends nothing that is under way: whoever locks an attacker
// out must know that the attacker's session goes on.
var _ = Describe("when the rule that let a session in is withdrawn", func() {
	for _, node := range filtered(harness.Site()) {
		It("at "+node+", the session goes on and a new one does not get in", func(ctx SpecContext) {
			harness.Promise("reach")
			lab := harness.NewLab(ctx)
			allowed, rule := admitted(ctx, lab, node)
			session := openSSH(ctx, lab, allowed)
			withdraw(ctx, lab, rule)
			Expect(ask(ctx, lab, allowed, 1)[0].Saw.Closed()).To(BeTrue(), "a new connection after %s was withdrawn", rule)
			Expect(session.alive(ctx)).To(Succeed(), "the session that was open before")
			harness.Judged(2)
		}, SpecTimeout(time.Minute))
	}
})

// filtered are the nodes that promise anything about a filter of their own.
func filtered(site *topology.Site) []string {
	var names []string
	for _, p := range site.Promises.Persist {
		names = append(names, p.Node)
	}
	return names
}

// admitted is an SSH flow that a rule of the node's filter lets in.
func admitted(ctx context.Context, lab topology.Lab, node string) (flow.Flow, filter.Rule) {
	GinkgoHelper()
	asked := false
	for _, r := range flow.Matrix(harness.Site()) {
		if r.Want != flow.WantOpen || r.Flow.To != node || r.Flow.Service.Name != "ssh" || r.Flow.Family != flow.IPv4 {
			continue
		}
		asked = true
		p := ask(ctx, lab, r.Flow, 1)[0]
		if p.Saw == flow.Open && p.Rule != nil && p.Rule.Handle != 0 && p.Rule.Verdict == "accept" {
			return r.Flow, *p.Rule
		}
	}
	if !asked {
		Skip("promises.reach opens ssh at " + node + " to nobody over IPv4")
	}
	harness.CouldNotTest("no rule of %s is known to let SSH in", node)
	return flow.Flow{}, filter.Rule{}
}

func withdraw(ctx context.Context, lab topology.Lab, r filter.Rule) {
	GinkgoHelper()
	output(ctx, onNode(lab, r.Node), "nft", "delete", "rule", r.Family, r.Table, r.Chain, "handle", fmt.Sprint(r.Handle))
}
