package topology

import (
	"net/netip"
	"slices"
)

// Machine finds a node of the site by name.
func (s *Site) Machine(name string) (*Machine, bool) {
	for _, m := range s.Nodes {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

// Network finds a network or a tunnel by name.
func (s *Site) Network(name string) (*Network, bool) {
	for _, n := range s.Networks {
		if n.Name == name {
			return n, true
		}
	}
	return nil, false
}

// Service finds a service, built in or the site's own, by name.
func (s *Site) Service(name string) (Service, bool) {
	for _, svc := range s.Services {
		if svc.Name == name {
			return svc, true
		}
	}
	return Service{}, false
}

// Router is the node that takes what leaves the network: the first router on
// it, one with a foot on the outer network before one without.
func (s *Site) Router(network string) (*Machine, bool) {
	var found *Machine
	for _, m := range s.Nodes {
		if m.Role != RoleRouter || !m.on(network) {
			continue
		}
		if s.onOuter(m) {
			return m, true
		}
		if found == nil {
			found = m
		}
	}
	return found, found != nil
}

// Hash identifies what was loaded: site.yaml and every file of the nodes with
// its mode and owner. It is 64 hexadecimal digits, and "" for a site that was
// not loaded from a folder.
func (s *Site) Hash() string { return s.hash }

// Placeholders lists every placeholder of the nodes' files, sorted by place.
func (s *Site) Placeholders() []Placeholder { return slices.Clone(s.placeholders) }

func (s *Site) onOuter(m *Machine) bool {
	return slices.ContainsFunc(m.On, func(a Attachment) bool {
		n, ok := s.Network(a.Network)
		return ok && n.Outer()
	})
}

// Outer says whether the network is where everything else is: the one that has
// the default route of a family. 2000::/3 counts as IPv6's, since it is all of
// the global addresses.
func (n *Network) Outer() bool {
	return n.IPv4.IsValid() && n.IPv4.Bits() == 0 || n.IPv6.IsValid() && n.IPv6.Bits() <= 3
}

// Addresses lists the addresses that the node has on a network or tunnel, in
// the file's order.
func (m *Machine) Addresses(network string) []netip.Addr {
	var found []netip.Addr
	for _, a := range m.On {
		if a.Network == network {
			found = append(found, a.Addresses...)
		}
	}
	return found
}

// File finds a file of nodes/<node>/ by its absolute path inside the node. It
// follows no links.
func (m *Machine) File(path string) (File, bool) {
	for _, f := range m.Files {
		if f.Path == path {
			return f, true
		}
	}
	return File{}, false
}

// WireGuard is the tunnel that /etc/wireguard/<name>.conf of the node describes.
func (m *Machine) WireGuard(name string) (WireGuard, bool) {
	w, ok := m.tunnels[name]
	return w, ok
}

func (m *Machine) on(network string) bool {
	return slices.ContainsFunc(m.On, func(a Attachment) bool { return a.Network == network })
}
