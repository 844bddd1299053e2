package firewall_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("how often one address may ask", func() {
	for _, limit := range harness.Site().Promises.Limits {
		Describe(limit.Text, func() {
			for _, family := range families(limit) {
				Describe("over "+string(family), func() { limitOver(limit, askers(limit, family)) })
			}

			// The wait is the kernel's: xt_recent has no clock to be moved. One
			// silence serves both families.
			It(fmt.Sprintf("and after %s of silence it passes again", limit.Within), func(ctx SpecContext) {
				harness.Promise("limits")
				lab := harness.NewLab(ctx)
				var held []flow.Flow
				for _, family := range families(limit) {
					asker := theFirst(askers(limit, family))
					if exhaust(ctx, lab, limit, asker) {
						held = append(held, asker)
					}
				}
				if len(held) == 0 {
					harness.CouldNotTest("nothing held anybody back, so nothing can pass again")
				}
				By(fmt.Sprintf("being silent for %s", limit.Within))
				silence(ctx, limit.Within+time.Second)
				for _, asker := range held {
					Expect(ask(ctx, lab, asker, 1)[0].Saw).To(Equal(flow.Open), "%s", asker)
				}
				harness.Judged(len(held))
			}, Label("slow"), SpecPriority(10), SpecTimeout(limit.Within+time.Minute))
		})
	}
})

func limitOver(limit topology.Limit, flows []flow.Flow) {
	It(fmt.Sprintf("%d new connections from one address pass, and the next one does not", limit.Passes), func(ctx SpecContext) {
		harness.Promise("limits")
		asker := theFirst(flows)
		harness.Subject(subjectOf(limit, asker))
		report(limit, ask(ctx, harness.NewLab(ctx), asker, limit.Passes+1))
	}, SpecTimeout(time.Minute))

	It("another address is not held back by the first one's attempts", func(ctx SpecContext) {
		harness.Promise("limits")
		if len(flows) < 2 {
			Skip("the site has only one address of the family that may ask " + limit.Service + " at " + limit.Node)
		}
		lab := harness.NewLab(ctx)
		exhaust(ctx, lab, limit, flows[0])
		Expect(ask(ctx, lab, flows[1], 1)[0].Saw).To(Equal(flow.Open), "%s", flows[1])
		harness.Judged(1)
	}, SpecTimeout(time.Minute))

	It("a running session survives while new ones are held back", func(ctx SpecContext) {
		harness.Promise("limits")
		if limit.Service != "ssh" {
			Skip("only an SSH session is known how to be kept: " + limit.Service)
		}
		lab := harness.NewLab(ctx)
		asker := theFirst(flows)
		session := openSSH(ctx, lab, asker)
		exhaust(ctx, lab, limit, asker)
		Expect(session.alive(ctx)).To(Succeed())
		harness.Judged(1)
	}, SpecTimeout(time.Minute))
}

// families are those over which somebody may ask. IPv4 is there in any case: a
// limit on what nobody may ask cannot be tested, and says so.
func families(limit topology.Limit) []flow.Family {
	if len(askers(limit, flow.IPv6)) > 0 {
		return []flow.Family{flow.IPv4, flow.IPv6}
	}
	return []flow.Family{flow.IPv4}
}

// askers are the flows that may ask, each from an address of its own: nodes
// behind one translation share theirs.
func askers(limit topology.Limit, family flow.Family) []flow.Flow {
	var out []flow.Flow
	seen := map[netip.Addr]bool{}
	for _, r := range flow.Matrix(harness.Site()) {
		from, known := harness.Site().Machine(r.Flow.From)
		if !known || r.Want != flow.WantOpen || r.Flow.To != limit.Node || r.Flow.Service.Name != limit.Service || r.Flow.Family != family {
			continue
		}
		for _, a := range from.Addresses(r.Flow.Over) {
			if a.Is4() == (family == flow.IPv4) && !seen[a] {
				seen[a] = true
				out = append(out, r.Flow)
			}
		}
	}
	return out
}

func theFirst(flows []flow.Flow) flow.Flow {
	GinkgoHelper()
	if len(flows) == 0 {
		harness.CouldNotTest("no node on the network may ask: promises.reach opens the service to nobody there")
	}
	return flows[0]
}

// ask opens connections one after the other.
func ask(ctx context.Context, lab topology.Lab, f flow.Flow, times int) []flow.Probe {
	GinkgoHelper()
	var probes []flow.Probe
	for range times {
		probes = append(probes, harness.Probe(ctx, lab, f)...)
	}
	return probes
}

// exhaust asks until it is held back, and says whether it was. That nothing
// holds anybody back is the finding of another spec.
func exhaust(ctx context.Context, lab topology.Lab, limit topology.Limit, f flow.Flow) bool {
	GinkgoHelper()
	for range limit.Passes + 2 {
		p := ask(ctx, lab, f, 1)[0]
		if p.Saw == flow.Unknown {
			harness.CouldNotTest("%s: %s", f, p.Why)
		}
		if p.Saw != flow.Open {
			return true
		}
	}
	return false
}

func subjectOf(limit topology.Limit, f flow.Flow) string {
	return fmt.Sprintf("%s at %s %s", limit.Service, limit.Node, f.Family)
}

// report judges how many of the attempts, made in a row, passed.
func report(limit topology.Limit, probes []flow.Probe) {
	GinkgoHelper()
	harness.Judged(len(probes))
	passed := 0
	deciding := probes[len(probes)-1] // the first that was held back, if any was
	for _, p := range probes {
		switch {
		case p.Saw == flow.Unknown:
			harness.CouldNotTest("%s: %s", p.Flow, p.Why)
		case p.SYNs > 1:
			harness.CouldNotTest("%s: its SYN went out %d times, and a limit counts each: this machine is too busy", p.Flow, p.SYNs)
		case p.Saw == flow.Open:
			passed++
		case deciding.Saw == flow.Open || p.Started.Before(deciding.Started):
			deciding = p
		}
	}
	if passed == limit.Passes && probes[len(probes)-1].Saw != flow.Open {
		return
	}
	cause, change := flow.Explain(harness.Site(), deciding, flow.Row{Flow: deciding.Flow, Want: flow.WantClosed, Promise: "limits"})
	if deciding.Saw != flow.Open && deciding.Rule != nil {
		cause = fmt.Sprintf("%s (%s)", deciding.Rule, deciding.Rule.Text)
		change = fmt.Sprintf("xt_recent drops from its hit count on, counting this connection: --hitcount %d lets %d pass", limit.Passes+1, limit.Passes)
	}
	harness.Report(evidence.Finding{
		Promise: "limits", Title: limit.Text, Flow: subjectOf(limit, deciding.Flow),
		Expected: fmt.Sprintf("%d pass", limit.Passes), Seen: fmt.Sprintf("%d of %d pass", passed, len(probes)),
		Cause: cause, Change: change, Node: limit.Node, At: limit.At,
	})
}

// silence waits without a packet. It is the promise itself that takes time.
func silence(ctx context.Context, d time.Duration) {
	GinkgoHelper()
	select {
	case <-ctx.Done():
		harness.CouldNotTest("the silence was cut short: %v", ctx.Err())
	case <-time.After(d):
	}
}

// sshSession is an SSH connection that has only said hello.
type sshSession struct {
	conn net.Conn
	in   *bufio.Reader
}

func openSSH(ctx context.Context, lab topology.Lab, f flow.Flow) *sshSession {
	GinkgoHelper()
	node, err := lab.Node(f.From)
	Expect(err).NotTo(HaveOccurred())
	conn, err := node.Dial(ctx, "tcp", net.JoinHostPort(f.Address.String(), strconv.Itoa(int(f.Service.Port))))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(conn.Close)
	s := &sshSession{conn: conn, in: bufio.NewReader(conn)}
	hello, err := s.in.ReadString('\n')
	Expect(err).NotTo(HaveOccurred())
	Expect(hello).To(HavePrefix("SSH-2.0-"))
	return s
}

// alive introduces itself, to which the server answers with its key exchange.
func (s *sshSession) alive(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(s.conn, "SSH-2.0-pbsdrill\r\n"); err != nil {
		return err
	}
	_, err := s.in.ReadByte()
	return err
}
