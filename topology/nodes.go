package topology

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
)

func (l *loader) nodes() {
	if l.doc.Nodes.given() && len(l.doc.Nodes.Rows) == 0 {
		l.problem(l.doc.Nodes.At, "nodes", "a site needs at least one node")
	}
	// First all names: mounts look ahead.
	for _, r := range l.doc.Nodes.Rows {
		m := &Machine{Name: r.Key.Text, Role: r.Value.Role.Text, At: r.Key.At, tunnels: map[string]WireGuard{}}
		if l.named(r.Key, "node") {
			if n, both := l.site.Network(m.Name); both {
				l.problem(r.Key.At, r.Key.Path, "%q is a network too (%s); promises could not tell them apart", m.Name, n.At)
			}
		}
		l.site.Nodes = append(l.site.Nodes, m)
	}
	taken := map[string]string{}
	for i, r := range l.doc.Nodes.Rows {
		l.node(l.site.Nodes[i], r.Value, taken)
	}
}

func (l *loader) node(m *Machine, e nodeEntry, taken map[string]string) {
	if e.Role.given() && !slices.Contains(roles, m.Role) {
		l.problem(e.Role.At, e.Role.Path, "role %q is not known%s", m.Role, wayOut(m.Role, roles))
	}
	for i, r := range e.On.Rows {
		l.attach(m, e, r, fmt.Sprintf("eth%d", i), taken)
	}
	if e.On.given() && len(e.On.Rows) == 0 {
		l.problem(e.On.At, e.On.Path, "a node is on at least one network")
	}
	l.nat(m, e)
	l.mounts(m, e)
	l.guests(m, e)
	l.modesOf(m, e)
}

func (l *loader) attach(m *Machine, e nodeEntry, r row[words], iface string, taken map[string]string) {
	n, ok := l.site.Network(r.Key.Text)
	if !ok {
		l.problem(r.Key.At, e.On.Path, "network %q is not defined%s", r.Key.Text, wayOut(r.Key.Text, l.networkNames()))
		return
	}
	a := Attachment{Network: n.Name, Interface: iface, At: r.Key.At}
	for _, w := range r.Value.List {
		addr, err := netip.ParseAddr(w.Text)
		if err != nil {
			l.problem(w.At, w.Path, "%q is no address such as 192.168.100.10 (the prefix's length stands with the network)", short(w.Text))
			continue
		}
		if text := misplaced(addr, n); text != "" && !l.unsure[n.Name+" "+familyOf(addr)] {
			l.problem(w.At, w.Path, "%s", text)
			continue
		}
		key := n.Name + " " + addr.String()
		if first, twice := taken[key]; twice {
			l.problem(w.At, w.Path, "%s is %s's already", addr, first)
			continue
		}
		taken[key] = m.Name
		a.Addresses = append(a.Addresses, addr)
	}
	m.On = append(m.On, a)
}

func familyOf(addr netip.Addr) string {
	if addr.Is6() {
		return "ipv6"
	}
	return "ipv4"
}

// misplaced says why an address cannot be a node's on the network; "" if it can.
func misplaced(addr netip.Addr, n *Network) string {
	prefix, family := n.IPv4, familyOf(addr)
	if addr.Is6() {
		prefix = n.IPv6
	}
	switch {
	case addr.Zone() != "" || addr.Is4In6():
		return fmt.Sprintf("%s: write a plain address", addr)
	case addr.IsLinkLocalUnicast() && addr.Is6():
		return fmt.Sprintf("%s is link-local; nodes get such an address without being told", addr)
	case addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast():
		return fmt.Sprintf("%s is no address that a node can have on a network", addr)
	case !prefix.IsValid():
		return fmt.Sprintf("network %q has no %s prefix for %s; add one to it", n.Name, family, addr)
	case !prefix.Contains(addr):
		return fmt.Sprintf("%s is outside of network %q, which is %s", addr, n.Name, prefix)
	case addr.Is4() && prefix.Bits() > 0 && prefix.Bits() < 31 && (addr == prefix.Addr() || !prefix.Contains(addr.Next())):
		return fmt.Sprintf("%s is the first or the last address of %s, which no node can have", addr, prefix)
	}
	return ""
}

func (l *loader) nat(m *Machine, e nodeEntry) {
	if e.NAT == nil || !e.NAT.given() {
		return
	}
	m.NAT = &NAT{UDPTimeout: l.duration(e.NAT.UDPTimeout), At: e.NAT.At}
	switch {
	case m.Role != RoleRouter:
		l.problem(e.NAT.At, e.NAT.Path, "only a router masquerades, and the role of %s is %q", m.Name, m.Role)
	case !l.site.onOuter(m):
		l.problem(e.NAT.At, e.NAT.Path, "%s is not on the network with 0.0.0.0/0, so there is nothing to masquerade towards", m.Name)
	case len(m.On) < 2:
		l.problem(e.NAT.At, e.NAT.Path, "%s is on one network only, so there is nobody to masquerade", m.Name)
	}
}

func (l *loader) mounts(m *Machine, e nodeEntry) {
	for _, r := range e.Mounts.Rows {
		if !path.IsAbs(r.Key.Text) || path.Clean(r.Key.Text) != r.Key.Text || r.Key.Text == "/" {
			l.problem(r.Key.At, e.Mounts.Path, "%q is no absolute path of a mount point", short(r.Key.Text))
		}
		if !r.Value.given() {
			continue
		}
		if _, ok := l.site.Machine(r.Value.Text); !ok {
			l.problem(r.Value.At, r.Value.Path, "node %q is not defined%s", r.Value.Text, wayOut(r.Value.Text, l.nodeNames()))
		} else if r.Value.Text == m.Name {
			l.problem(r.Value.At, r.Value.Path, "a node does not mount from itself")
		}
		if m.Mounts == nil {
			m.Mounts = map[string]string{}
		}
		m.Mounts[r.Key.Text] = r.Value.Text
	}
}

var guestSize = regexp.MustCompile(`^[1-9][0-9]*(\.[0-9]+)?(MiB|GiB|TiB)$`)

func (l *loader) guests(m *Machine, e nodeEntry) {
	if e.Guests.given() && e.Role.given() && m.Role != RoleHypervisor {
		l.problem(e.Guests.At, e.Guests.Path, "only a hypervisor has guests, and the role of %s is %q", m.Name, m.Role)
	}
	for _, r := range e.Guests.Rows {
		if id, err := strconv.Atoi(r.Key.Text); err != nil || id < 100 {
			l.problem(r.Key.At, e.Guests.Path, "%q is no guest's id; they count from 100", short(r.Key.Text))
		}
		if r.Value.given() && !guestSize.MatchString(r.Value.Text) {
			l.problem(r.Value.At, r.Value.Path, "%q is no size such as 512MiB or 2GiB", short(r.Value.Text))
		}
		if m.Guests == nil {
			m.Guests = map[string]string{}
		}
		m.Guests[r.Key.Text] = r.Value.Text
	}
}
