package topology

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// wireguard reads one of a node's wg files.
func (l *loader) wireguard(m *Machine, name string, f File, content []byte) {
	w, problems := ParseWireGuard(f.At.File, bytes.NewReader(content))
	l.problems = append(l.problems, problems...)
	if !interfaceName.MatchString(name) {
		l.problem(f.At, "", "%q is no interface's name: 15 letters, digits and _=+.- at most", name)
	}
	m.tunnels[name] = w
}

// tunnelNames lists the tunnels of a node, sorted.
func (m *Machine) tunnelNames() []string { return slices.Sorted(maps.Keys(m.tunnels)) }

// end is one node's end of a tunnel.
type end struct {
	node *Machine
	WireGuardAddress
}

// tunnels makes networks of the nodes' wg files: one for each interface's
// name, with every node that has such a file on it.
func (l *loader) tunnels() {
	ends := map[string][]end{}
	var order []string
	for _, m := range l.site.Nodes {
		for _, name := range m.tunnelNames() {
			w := m.tunnels[name]
			if len(w.Addresses) == 0 {
				continue
			}
			if _, ok := ends[name]; !ok {
				order = append(order, name)
			}
			a := Attachment{Network: name, Interface: name, At: w.Addresses[0].At}
			for _, address := range w.Addresses {
				a.Addresses = append(a.Addresses, address.Prefix.Addr())
				ends[name] = append(ends[name], end{m, address})
			}
			m.On = append(m.On, a)
		}
	}
	for _, name := range order {
		l.tunnel(name, ends[name])
	}
}

func (l *loader) tunnel(name string, ends []end) {
	n := &Network{Name: name, Tunnel: true, At: ends[0].At}
	if cable, both := l.site.Network(name); both {
		l.problem(n.At, "", "the tunnel %s has the name of a network (%s); rename the network", name, cable.At)
		return
	}
	if _, both := l.site.Machine(name); both {
		l.problem(n.At, "", "the tunnel %s has the name of a node; promises could not tell them apart", name)
		return
	}
	n.IPv4 = l.tunnelPrefix(name, ends, netip.Addr.Is4)
	n.IPv6 = l.tunnelPrefix(name, ends, netip.Addr.Is6)
	l.site.Networks = append(l.site.Networks, n)
}

// tunnelPrefix is the widest prefix of the family; spokes may have a /32 within
// it. A hub and its spokes agree on it, else the name stands for two tunnels.
func (l *loader) tunnelPrefix(name string, ends []end, is func(netip.Addr) bool) netip.Prefix {
	var widest end
	seen := map[netip.Addr]end{}
	for _, e := range ends {
		addr := e.Prefix.Addr()
		if !is(addr) {
			continue
		}
		if !widest.Prefix.IsValid() || e.Prefix.Bits() < widest.Prefix.Bits() {
			widest = e
		}
		if first, twice := seen[addr]; twice {
			l.problem(e.At, "interface", "%s is %s's already (%s)", addr, first.node.Name, first.At)
		}
		seen[addr] = e
	}
	for _, e := range ends {
		if is(e.Prefix.Addr()) && !widest.Prefix.Contains(e.Prefix.Addr()) {
			l.problem(e.At, "interface", "%s is outside of %s, which %s has on %s (%s); if these are two tunnels, give their files two names",
				e.Prefix.Addr(), widest.Prefix.Masked(), widest.node.Name, name, strings.TrimPrefix(widest.At.String(), "nodes/"))
		}
	}
	return widest.Prefix.Masked()
}
