package firewall_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// tunnelPeer is one end of a tunnel as the other end's file has it.
type tunnelPeer struct {
	node, iface string
	peer        *topology.Machine
}

var _ = Describe("the tunnel", func() {
	for _, t := range tunnelPeers(harness.Site()) {
		It(fmt.Sprintf("between %s and %s has shaken hands", t.node, t.peer.Name), func(ctx SpecContext) {
			harness.Promise("reach")
			node := onNode(harness.SharedLab(ctx), t.node)
			key := peerKey(ctx, node, t)
			Eventually(ctx, func(ctx context.Context) string {
				return wgField(output(ctx, node, "wg", "show", t.iface, "latest-handshakes"), key)
			}).WithTimeout(20*time.Second).Should(MatchRegexp("^[1-9]"), "%s %s has not shaken hands with %s", t.node, t.iface, t.peer.Name)
			harness.Judged(1)
		}, SpecTimeout(time.Minute))

		It(fmt.Sprintf("is no stepping stone: %s reaches nothing behind %s, whatever it writes into its own files", t.node, t.peer.Name), func(ctx SpecContext) {
			harness.Promise("reach")
			lab := harness.NewLab(ctx)
			rows := behind(t)
			if len(rows) == 0 {
				Skip(t.peer.Name + " is on no network that " + t.node + " is not on")
			}
			// What an attacker with root on this end would do first.
			for _, r := range rows {
				bits := fmt.Sprintf("%s/%d", r.Flow.Address, r.Flow.Address.BitLen())
				output(ctx, onNode(lab, t.node), "ip", "route", "replace", bits, "dev", t.iface)
			}
			output(ctx, onNode(lab, t.node), "wg", "set", t.iface, "peer", peerKey(ctx, onNode(lab, t.node), t), "allowed-ips", "0.0.0.0/0,::/0")
			openOwnFilter(ctx, lab, t.node)
			for _, p := range harness.Judge(ctx, lab, fmt.Sprintf("%s is no stepping stone to what is behind it", t.peer.Name), rows...) {
				if p.Saw.Closed() && p.Rule != nil && p.Rule.Node == t.node {
					harness.CouldNotTest("%s: %s still holds it back, which says nothing about %s", p.Flow, p.Rule, t.peer.Name)
				}
			}
		}, SpecTimeout(2*time.Minute))
	}
})

// peerKey is the public key under which the node knows the other end: the one
// that may use its address.
func peerKey(ctx context.Context, node topology.Node, t tunnelPeer) string {
	GinkgoHelper()
	for line := range strings.Lines(output(ctx, node, "wg", "show", t.iface, "allowed-ips")) {
		fields := strings.Fields(line)
		for _, text := range fields[min(1, len(fields)):] {
			if p, err := netip.ParsePrefix(text); err == nil && holds([]netip.Prefix{p}, t.peer.Addresses(t.iface)) {
				return fields[0]
			}
		}
	}
	harness.CouldNotTest("%s %s has no peer with an address of %s", t.node, t.iface, t.peer.Name)
	return ""
}

// wgField is what wg shows beside a key.
func wgField(shown, key string) string {
	for line := range strings.Lines(shown) {
		if k, value, _ := strings.Cut(strings.TrimSpace(line), "\t"); k == key {
			return value
		}
	}
	return ""
}

// openOwnFilter lets everything out at the attacker's end.
func openOwnFilter(ctx context.Context, lab topology.Lab, node string) {
	GinkgoHelper()
	output(ctx, onNode(lab, node), "sh", "-c", "iptables -P OUTPUT ACCEPT; iptables -F OUTPUT; ip6tables -P OUTPUT ACCEPT; ip6tables -F OUTPUT; nft flush chain inet filter output 2>/dev/null; true")
}

// tunnelPeers are all tunnels, seen from each end, once for each peer.
func tunnelPeers(site *topology.Site) []tunnelPeer {
	var out []tunnelPeer
	for _, n := range site.Networks {
		if !n.Tunnel {
			continue
		}
		for _, m := range site.Nodes {
			w, ok := m.WireGuard(n.Name)
			if !ok {
				continue
			}
			for _, p := range w.Peers {
				for _, other := range site.Nodes {
					if other != m && holds(p.AllowedIPs, other.Addresses(n.Name)) {
						out = append(out, tunnelPeer{node: m.Name, iface: n.Name, peer: other})
					}
				}
			}
		}
	}
	return out
}

func holds(prefixes []netip.Prefix, addrs []netip.Addr) bool {
	for _, p := range prefixes {
		for _, a := range addrs {
			if p.Contains(a) {
				return true
			}
		}
	}
	return false
}

// behind are the flows to the nodes on the peer's other networks, through the
// peer: nothing of that is promised by a tunnel between two.
func behind(t tunnelPeer) []flow.Row {
	var rows []flow.Row
	site := harness.Site()
	from, _ := site.Machine(t.node)
	for _, r := range flow.Matrix(site) {
		over, _ := site.Network(r.Flow.Over)
		if r.Flow.From != t.node || r.Flow.To == t.peer.Name || r.Flow.Family == flow.LinkLocal || over.Tunnel {
			continue
		}
		if len(from.Addresses(r.Flow.Over)) > 0 || len(t.peer.Addresses(r.Flow.Over)) == 0 && !routed(site, t.peer, r.Flow) {
			continue
		}
		switch r.Flow.Service.Name {
		case "ssh", "pbs", "pve", "ping":
			r.Want, r.Promise = flow.WantClosed, flow.PromiseReach
			rows = append(rows, r)
		}
	}
	return rows
}

// routed says whether the peer has a router to the flow's network.
func routed(site *topology.Site, peer *topology.Machine, f flow.Flow) bool {
	for _, a := range peer.On {
		if router, ok := site.Router(a.Network); ok && len(router.Addresses(f.Over)) > 0 {
			over, _ := site.Network(f.Over)
			return !over.Outer()
		}
	}
	return false
}
