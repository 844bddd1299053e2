package firewall_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// What people type to convince themselves must say the same as the matrix.
var _ = Describe("the tools that people use agree", func() {
	site := harness.Site()
	for _, r := range tunnelRows(site) {
		switch {
		case r.Flow.Service.Name == "ping" && r.Want == flow.WantOpen:
			It(fmt.Sprintf("ping %s from %s answers", r.Flow.Address, r.Flow.From), func(ctx SpecContext) {
				harness.Promise(r.Promise)
				res, err := onNode(harness.SharedLab(ctx), r.Flow.From).Run(ctx, topology.Command{Argv: []string{"ping", "-c1", "-W5", r.Flow.Address.String()}})
				Expect(err).NotTo(HaveOccurred())
				Expect(res.Exit).To(BeZero(), string(res.Stdout)+string(res.Stderr))
				harness.Judged(1)
			}, SpecTimeout(30*time.Second))
		case r.Flow.Service.Name == "pbs":
			It(fmt.Sprintf("https://%s:8007 from %s: %s", r.Flow.Address, r.Flow.From, inWords(r.Want)), func(ctx SpecContext) {
				harness.Promise(r.Promise)
				node := onNode(harness.SharedLab(ctx), r.Flow.From)
				// bash's own socket, for no node needs curl.
				res, err := node.Run(ctx, topology.Command{Argv: []string{"timeout", "2", "bash", "-c", `exec 3<>"/dev/tcp/$1/$2"`, "bash", r.Flow.Address.String(), fmt.Sprint(r.Flow.Service.Port)}})
				Expect(err).NotTo(HaveOccurred())
				switch r.Want {
				case flow.WantOpen:
					Expect(res.Exit).To(BeZero(), string(res.Stderr))
				case flow.WantSilent:
					Expect(res.Exit).To(Equal(124), "no answer at all was promised: %s", res.Stderr)
				case flow.WantClosed:
					Expect(res.Exit).NotTo(BeZero())
				}
				harness.Judged(1)
			}, SpecTimeout(30*time.Second))
		}
	}

	for _, r := range outerPings(site) {
		It(fmt.Sprintf("a traceroute by ICMP from %s arrives at %s (%s)", r.Flow.From, r.Flow.To, r.Flow.Address), func(ctx SpecContext) {
			harness.Promise(r.Promise)
			node := onNode(harness.SharedLab(ctx), r.Flow.From)
			var path []string
			for hops := 1; hops <= 8; hops++ {
				res, err := node.Run(ctx, topology.Command{Argv: []string{"ping", "-n", "-c1", "-W2", "-t", fmt.Sprint(hops), r.Flow.Address.String()}})
				Expect(err).NotTo(HaveOccurred())
				if res.Exit == 0 {
					harness.Judged(1)
					return
				}
				path = append(path, strings.TrimSpace(string(res.Stdout)))
			}
			Fail("no answer within 8 hops:\n" + strings.Join(path, "\n"))
		}, SpecTimeout(time.Minute))
	}
})

func inWords(w flow.Want) string {
	switch w {
	case flow.WantOpen:
		return "answers"
	case flow.WantSilent:
		return "times out"
	case flow.WantClosed:
		return "is closed"
	}
	return string(w)
}

// tunnelRows are the rows between backup servers over their tunnel.
func tunnelRows(site *topology.Site) []flow.Row {
	var out []flow.Row
	for _, r := range flow.Matrix(site) {
		from, _ := site.Machine(r.Flow.From)
		to, _ := site.Machine(r.Flow.To)
		over, _ := site.Network(r.Flow.Over)
		if over.Tunnel && r.Flow.Family == flow.IPv4 && from.Role == topology.RoleBackupServer && to.Role == topology.RoleBackupServer {
			out = append(out, r)
		}
	}
	return out
}

// outerPings are the promised pings to backup servers from outside.
func outerPings(site *topology.Site) []flow.Row {
	var out []flow.Row
	for _, r := range flow.Matrix(site) {
		to, _ := site.Machine(r.Flow.To)
		over, _ := site.Network(r.Flow.Over)
		if r.Want == flow.WantOpen && r.Flow.Service.Name == "ping" && over.Outer() && !over.Tunnel && r.Flow.Family != flow.LinkLocal && to.Role == topology.RoleBackupServer {
			out = append(out, r)
		}
	}
	return out
}
