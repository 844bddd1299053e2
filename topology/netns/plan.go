package netns

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
)

// cables are the links of a node, in the site's order. Addresses of hardware
// are a function of the names, so that a lab looks the same each time.
func cables(site *topology.Site, m *topology.Machine) []link {
	var out []link
	for _, a := range m.On {
		if i, ok := cableIndex(site, a.Network); ok {
			out = append(out, link{Interface: a.Interface, Network: i, MAC: hardwareAddress(m.Name, a.Interface)})
		}
	}
	return out
}

// cableNetworks are the networks that the lab makes; tunnels are the nodes' own.
func cableNetworks(site *topology.Site) []string {
	var names []string
	for _, n := range site.Networks {
		if !n.Tunnel {
			names = append(names, n.Name)
		}
	}
	return names
}

func cableIndex(site *topology.Site, network string) (int, bool) {
	for i, name := range cableNetworks(site) {
		if name == network {
			return i, true
		}
	}
	return 0, false
}

// hardwareAddress is a locally administered unicast address (IEEE 802, bits 1
// and 0 of the first octet).
func hardwareAddress(node, iface string) string {
	sum := sha256.Sum256([]byte(node + "/" + iface))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}

// addressings is what a node sets on its interfaces.
func addressings(site *topology.Site, m *topology.Machine) []addressing {
	var out []addressing
	for _, a := range m.On {
		n, ok := site.Network(a.Network)
		if !ok || n.Tunnel {
			continue
		}
		out = append(out, addressing{Interface: a.Interface, Addresses: prefixes(n, a), Routes: routes(site, m, n, a)})
	}
	return out
}

// prefixes gives each address its network's length; on the outer network,
// where nobody shares a segment by design, the address stands alone.
func prefixes(n *topology.Network, a topology.Attachment) []netip.Prefix {
	var out []netip.Prefix
	for _, addr := range a.Addresses {
		bits := familyPrefix(n, addr).Bits()
		if n.Outer() {
			bits = addr.BitLen()
		}
		out = append(out, netip.PrefixFrom(addr, bits))
	}
	return out
}

func familyPrefix(n *topology.Network, addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return n.IPv4
	}
	return n.IPv6
}

// routes are the outer network itself, on the link, for a node that is on it;
// for every other network the way there by the router of this one, where the
// router has addresses of the family on both sides. 0.0.0.0/0 covers the inner
// networks of its family; 2000::/3 does not cover fd00::/8.
func routes(site *topology.Site, m *topology.Machine, n *topology.Network, a topology.Attachment) []route {
	var out []route
	for _, family := range []func(*topology.Network) netip.Prefix{
		func(n *topology.Network) netip.Prefix { return n.IPv4 },
		func(n *topology.Network) netip.Prefix { return n.IPv6 },
	} {
		outer, inner := routesOf(site, m, n, a, family)
		out = append(out, outer...)
		for _, r := range inner {
			if !slices.ContainsFunc(outer, func(o route) bool { return o.To.Contains(r.To.Addr()) }) {
				out = append(out, r)
			}
		}
	}
	return out
}

func routesOf(site *topology.Site, m *topology.Machine, n *topology.Network, a topology.Attachment, family func(*topology.Network) netip.Prefix) (outer, inner []route) {
	for _, other := range site.Networks {
		to := family(other)
		if other.Tunnel || !to.IsValid() {
			continue
		}
		if other == n && other.Outer() && has(a.Addresses, to.Addr()) {
			outer = append(outer, route{To: to})
		}
		if len(m.Addresses(other.Name)) > 0 {
			continue
		}
		via, ok := gateway(site, m, n, other, to)
		switch {
		case ok && other.Outer():
			outer = append(outer, route{To: to, Via: via})
		case ok:
			inner = append(inner, route{To: to, Via: via})
		}
	}
	return outer, inner
}

func has(addrs []netip.Addr, family netip.Addr) bool {
	for _, a := range addrs {
		if a.Is4() == family.Is4() {
			return true
		}
	}
	return false
}

// gateway is the router's address on n, if the router can pass the family on
// to the other network.
func gateway(site *topology.Site, m *topology.Machine, n, other *topology.Network, to netip.Prefix) (netip.Addr, bool) {
	router, ok := site.Router(n.Name)
	if !ok || router == m || !has(router.Addresses(other.Name), to.Addr()) {
		return netip.Addr{}, false
	}
	for _, addr := range router.Addresses(n.Name) {
		if addr.Is4() == to.Addr().Is4() {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// natScript is the provider's or the owner's box: it masquerades what leaves by
// the outer interface and lets nothing unsolicited in. Neighbour discovery is
// part of having an address at all (RFC 4861).
func natScript(site *topology.Site, m *topology.Machine) string {
	outer := ""
	for _, a := range m.On {
		if n, ok := site.Network(a.Network); ok && n.Outer() && !n.Tunnel {
			outer = a.Interface
		}
	}
	if m.NAT == nil || outer == "" {
		return ""
	}
	return strings.ReplaceAll(`
table inet pbsdrill_router {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "OUTER" masquerade
	}
	chain input {
		type filter hook input priority filter;
		iifname "OUTER" ct state established,related accept
		iifname "OUTER" icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
		iifname "OUTER" drop
	}
	chain forward {
		type filter hook forward priority filter;
		iifname "OUTER" ct state established,related accept
		iifname "OUTER" drop
	}
}
`, "OUTER", outer)
}

// hosts is a node's /etc/hosts: itself, as an installer writes it.
func hosts(m *topology.Machine) string {
	lines := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	for _, a := range m.On {
		if len(a.Addresses) > 0 {
			return lines + a.Addresses[0].String() + "\t" + m.Name + "\n"
		}
	}
	return lines
}

// dials says whether one of the node's tunnels starts by itself: it has a peer
// with an Endpoint. Such nodes boot last. A handshake that finds nobody is
// repeated after five seconds (WireGuard's REKEY_TIMEOUT), so a lab that boots
// everything at once would take those five seconds or not, by luck.
func dials(site *topology.Site, m *topology.Machine) bool {
	for _, n := range site.Networks {
		w, ok := m.WireGuard(n.Name)
		if !n.Tunnel || !ok {
			continue
		}
		for _, p := range w.Peers {
			if p.Endpoint != "" {
				return true
			}
		}
	}
	return false
}
