package trial_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/harness/match"
	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// The specs need namespaces, so they run under the ginkgo command only.
func TestTrial(t *testing.T) {
	underGinkgo := false
	flag.Visit(func(f *flag.Flag) { underGinkgo = underGinkgo || f.Name == "ginkgo.seed" })
	if !underGinkgo {
		t.Skip("probes are tried in a lab through ginkgo: make e2e")
	}
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "probes on trial")
}

// asker --- lan --- router --- attic --- target
//
//	\--- mute
const houseYAML = `site: house
networks:
  lan:      {ipv4: 10.0.0.0/24, ipv6: "fd00:1::/64"}
  attic:    {ipv4: 10.0.1.0/24, ipv6: "fd00:2::/64"}
  internet: {ipv4: 0.0.0.0/0, ipv6: "2000::/3"}
services:
  own: tcp/7000
  knock: udp/7001
nodes:
  asker:  {role: client, on: {lan: [10.0.0.1, "fd00:1::1"]}}
  mute:   {role: server, on: {lan: [10.0.0.2, "fd00:1::2"]}}
  target: {role: server, on: {attic: [10.0.1.3, "fd00:2::3"]}}
  router: {role: router, on: {lan: [10.0.0.254, "fd00:1::fe"], attic: [10.0.1.254, "fd00:2::fe"], internet: 203.0.113.1}}
promises:
  reach:
    - asker -> target over attic: [ssh, own, knock, ping]
  limits:
    - ssh at target: 3 per 60s
`

const targetFilter = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport { 22, 7000 } accept
		udp dport 7001 accept
		icmp type echo-request accept
		tcp dport 80 reject with tcp reset
		tcp dport 443 reject with icmpx admin-prohibited
		tcp dport 8006 drop
	}
}
`

// muteFilter is a filter whose author forgot neighbour discovery.
const muteFilter = `table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		tcp dport 22 accept
	}
}
`

const routerFilter = `table inet filter {
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp dport 2049 drop
		tcp dport 10050 reject with icmpx host-unreachable
	}
}
`

func site(files map[string]string) *topology.Site {
	GinkgoHelper()
	all := map[string]string{
		"site.yaml":                      houseYAML,
		"nodes/target/etc/nftables.conf": targetFilter,
		"nodes/mute/etc/nftables.conf":   muteFilter,
		"nodes/router/etc/nftables.conf": routerFilter,
	}
	for path, content := range files {
		all[path] = content
	}
	dir := GinkgoT().TempDir()
	for path, content := range all {
		to := filepath.Join(dir, path)
		Expect(os.MkdirAll(filepath.Dir(to), 0o755)).To(Succeed())
		Expect(os.WriteFile(to, []byte(content), 0o600)).To(Succeed())
	}
	for node, units := range map[string][]string{"target": {"nftables", "ssh"}, "mute": {"nftables", "ssh"}, "router": {"nftables"}} {
		wants := filepath.Join(dir, "nodes", node, "etc/systemd/system/sysinit.target.wants")
		Expect(os.MkdirAll(wants, 0o755)).To(Succeed())
		for _, unit := range units {
			Expect(os.Symlink("/usr/lib/systemd/system/"+unit+".service", filepath.Join(wants, unit+".service"))).To(Succeed())
		}
	}
	s, err := topology.Load(dir)
	Expect(err).NotTo(HaveOccurred())
	return s
}

// watched is a lab with a prober.
type watched struct {
	lab    *netns.Lab
	prober *flow.Prober
}

func watch(ctx SpecContext) watched {
	GinkgoHelper()
	lab, err := netns.Up(ctx, site(nil), netns.Options{Mark: "flow"})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) error { return lab.Down(ctx) }, NodeTimeout(20*time.Second))
	p, err := flow.NewProber(ctx, lab, flow.Options{Seed: uint64(GinkgoRandomSeed())})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) error { return p.Close(ctx) }, NodeTimeout(20*time.Second))
	return watched{lab, p}
}

func (w watched) sh(ctx context.Context, node, line string) string {
	GinkgoHelper()
	n, err := w.lab.Node(node)
	Expect(err).NotTo(HaveOccurred())
	r, err := n.Run(ctx, topology.Command{Argv: []string{"sh", "-c", line}})
	Expect(err).NotTo(HaveOccurred())
	Expect(r.Exit).To(BeZero(), "%s: %s: %s", node, line, r.Stderr)
	return string(r.Stdout)
}

// to is the flow from asker to a service of the target.
func (w watched) to(service string) flow.Flow {
	return w.flow("asker", "target", "attic", service, flow.IPv4)
}

func (w watched) flow(from, to, over, service string, family flow.Family) flow.Flow {
	GinkgoHelper()
	for _, r := range flow.Matrix(w.lab.Site()) {
		f := r.Flow
		if f.From == from && f.To == to && f.Over == over && f.Service.Name == service && f.Family == family {
			return f
		}
	}
	Fail(fmt.Sprintf("no flow %s -> %s over %s %s %s", from, to, over, service, family))
	return flow.Flow{}
}

func (w watched) ask(ctx context.Context, f flow.Flow) flow.Probe {
	GinkgoHelper()
	probes, err := w.prober.Probe(ctx, f)
	Expect(err).NotTo(HaveOccurred())
	Expect(probes).To(HaveLen(1))
	GinkgoWriter.Println(f, probes[0].Saw, probes[0].Why, strings.Join(probes[0].Witness, "\n  "))
	return probes[0]
}

var _ = Describe("a prober", func() {
	It("tells what each flow did, and by which line", func(ctx SpecContext) {
		w := watch(ctx)
		for service, want := range map[string]struct {
			saw  flow.Verdict
			rule string
			why  string
		}{
			"ssh":          {flow.Open, "target:/etc/nftables.conf:8", "SSH-2.0-OpenSSH"},
			"own":          {flow.Open, "target:/etc/nftables.conf:8", "the harness's listener"},
			"knock":        {flow.Open, "target:/etc/nftables.conf:9", "the harness's listener"},
			"ping":         {flow.Open, "target:/etc/nftables.conf:10", "the echo"},
			"http":         {flow.Refused, "target:/etc/nftables.conf:11", "rejected"},
			"https":        {flow.Refused, "target:/etc/nftables.conf:12", "prohibited"},
			"pve":          {flow.Dropped, "target:/etc/nftables.conf:13", "SYN arrived at target, no answer"},
			"pbs":          {flow.Dropped, "target:/etc/nftables.conf:5", "SYN arrived at target, no answer"},
			"wireguard":    {flow.Dropped, "target:/etc/nftables.conf:5", "datagram arrived"},
			"nfs":          {flow.Unreachable, "router:/etc/nftables.conf:4", "stopped at router"},
			"zabbix-agent": {flow.Unreachable, "router:/etc/nftables.conf:5", "stopped at router"},
		} {
			p := w.ask(ctx, w.to(service))
			Expect(p).To(match.BeSeenAs(want.saw), service)
			Expect(p.Why).To(ContainSubstring(want.why), service)
			Expect(p.Rule).NotTo(BeNil(), service)
			Expect(p.Rule.String()).To(Equal(want.rule), service)
		}
	}, SpecTimeout(time.Minute))

	It("takes away what it put into the nodes", func(ctx SpecContext) {
		w := watch(ctx)
		before := w.sh(ctx, "mute", "nft list tables")
		Expect(before).To(ContainSubstring("pbsdrill_trace"))
		w.ask(ctx, w.to("own"))
		Expect(w.sh(ctx, "target", "ss -Hltn")).NotTo(ContainSubstring(":7000"))
		Expect(w.prober.Close(ctx)).To(Succeed())
		Expect(w.sh(ctx, "mute", "nft list tables")).To(Equal("table inet filter\n"))
	}, SpecTimeout(time.Minute))

	It("never repeats a SYN that a limit would count", func(ctx SpecContext) {
		w := watch(ctx)
		p := w.ask(ctx, w.to("pve"))
		if p.Took >= time.Second {
			// The kernel repeats a SYN after one second (RFC 6298, 2.1).
			Skip("this machine was too busy to let the probe end before the kernel's own repetition")
		}
		Expect(p.SYNs).To(BeNumerically("<=", 1))
	}, SpecTimeout(time.Minute))

	It("arms its trace again when a node's filter is loaded anew", func(ctx SpecContext) {
		w := watch(ctx)
		Expect(w.ask(ctx, w.to("pve"))).To(match.BeSeenAs(flow.Dropped))
		w.sh(ctx, "target", "sed -i 's/tcp dport 8006 drop/tcp dport 1 drop; tcp dport 8006 accept/' /etc/nftables.conf && nft -f /etc/nftables.conf")
		Expect(w.sh(ctx, "target", "nft list tables")).NotTo(ContainSubstring("pbsdrill"))
		p := w.ask(ctx, w.to("pve"))
		Expect(p).To(match.BeOpen())
		Expect(p.Rule.Text).To(Equal("tcp dport 8006 accept"), "the monitor still has the old rules, under the same handles")
		Expect(p.Rule.Line).To(Equal(13))
	}, SpecTimeout(time.Minute))

	It("knows nothing when its trace can't see", func(ctx SpecContext) {
		w := watch(ctx)
		// The table is gone, and can't be made again. The filter is still there.
		w.sh(ctx, "target", "nft delete table inet pbsdrill_trace; mv /usr/sbin/nft /usr/sbin/nft.away; kill $(pidof nft)")
		p := w.ask(ctx, w.to("pbs"))
		Expect(p.Saw).To(Equal(flow.Unknown))
		Expect(p.Why).To(HavePrefix("target: "))
		w.sh(ctx, "target", "mv /usr/sbin/nft.away /usr/sbin/nft") // so that Close finds everything
	}, SpecTimeout(time.Minute))

	It("calls a node that drops neighbour discovery unreachable, not silent", func(ctx SpecContext) {
		w := watch(ctx)
		for range 3 {
			p := w.ask(ctx, w.flow("asker", "mute", "lan", "ssh", flow.IPv6))
			Expect(p).To(match.BeSeenAs(flow.Unreachable))
			Expect(p.Why).To(ContainSubstring("mute drops the neighbour solicitation for fd00:1::2"))
			Expect(p.Rule.String()).To(Equal("mute:/etc/nftables.conf:3"))
			Expect(w.ask(ctx, w.flow("mute", "asker", "lan", "ssh", flow.IPv6))).To(match.BeSeenAs(flow.Unreachable))
			Expect(w.ask(ctx, w.flow("asker", "mute", "lan", "ssh", flow.LinkLocal))).To(match.BeSeenAs(flow.Unreachable))
		}
		Expect(w.ask(ctx, w.flow("asker", "mute", "lan", "ssh", flow.IPv4))).To(match.BeOpen())
	}, SpecTimeout(time.Minute))

	It("shows where there is no way", func(ctx SpecContext) {
		w := watch(ctx)
		w.sh(ctx, "asker", "ip route add unreachable 10.0.1.3/32")
		p := w.ask(ctx, w.to("own"))
		Expect(p).To(match.BeSeenAs(flow.Unreachable))
		Expect(p.Why).To(ContainSubstring("asker has no route to 10.0.1.3"))
		w.sh(ctx, "asker", "ip route replace 10.0.1.3/32 dev eth0")
		p = w.ask(ctx, w.to("own"))
		Expect(p).To(match.BeSeenAs(flow.Unreachable))
		Expect(p.Why).To(ContainSubstring("nobody answers the ARP request for 10.0.1.3"))
	}, SpecTimeout(time.Minute))

	It("does not take its own helplessness for a closed door", func(ctx SpecContext) {
		w := watch(ctx)
		w.sh(ctx, "asker", "ip link set eth0 down")
		Expect(w.ask(ctx, w.to("own")).Saw).To(Equal(flow.Unknown))
	}, SpecTimeout(time.Minute))

	It("names a filter that lets nothing out", func(ctx SpecContext) {
		w := watch(ctx)
		w.sh(ctx, "asker", "nft 'table inet egress { chain out { type filter hook output priority filter; tcp dport 7000 drop; }; }'")
		p := w.ask(ctx, w.to("own"))
		Expect(p).To(match.BeSeenAs(flow.Unreachable))
		Expect(p.Why).To(Equal("stopped at asker by its own filter"))
		Expect(p.Rule.Chain).To(Equal("out"))
	}, SpecTimeout(time.Minute))

	It("does not believe in an open port by itself", func(ctx SpecContext) {
		w := watch(ctx)
		By("another host key than the node's file says")
		w.sh(ctx, "target", "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && cp /tmp/other.pub /etc/ssh/ssh_host_ed25519_key.pub")
		Expect(w.ask(ctx, w.to("ssh"))).To(match.BeSeenAs(flow.WrongService))
	}, SpecTimeout(time.Minute))

	It("sees who takes a connection that was meant for another", func(ctx SpecContext) {
		w := watch(ctx)
		w.sh(ctx, "router", "nft 'table ip detour { chain pre { type nat hook prerouting priority dstnat; tcp dport 7000 dnat to 10.0.0.2:22; }; chain post { type nat hook postrouting priority srcnat; masquerade; }; }'")
		Expect(w.ask(ctx, w.to("own"))).To(match.BeSeenAs(flow.WrongService))
	}, SpecTimeout(time.Minute))

	It("keeps the packets", func(ctx SpecContext) {
		w := watch(ctx)
		var file bytes.Buffer
		Expect(w.prober.WritePcap(&file, w.ask(ctx, w.to("pve")))).To(Succeed())
		Expect(file.Bytes()).To(HavePrefix("\x0a\x0d\x0d\x0a"), "a section header")
		Expect(file.String()).To(ContainSubstring("target eth0"))
	}, SpecTimeout(time.Minute))
})
