package flow

import (
	"net/netip"
	"slices"

	"github.com/pbsdrill/pbsdrill/topology"
)

// The promises that a row of the matrix can come from.
const (
	PromiseReach  = "reach"
	PromiseSilent = "silent"
)

// Matrix lists every flow that a site's policy says something about, and its
// complement: every ordered pair of nodes, every address of the target in each
// family, every known service. What no line of promises.reach names must be
// closed, and dropped at a node that promises silence.
//
// The order is the site's own: sources, targets, networks, addresses, services.
func Matrix(site *topology.Site) []Row {
	var rows []Row
	for _, from := range site.Nodes {
		for _, to := range site.Nodes {
			if from == to {
				continue
			}
			for _, end := range ends(site, from, to) {
				for _, service := range site.Services {
					end.Service = service
					rows = append(rows, row(site, end))
				}
			}
		}
	}
	return rows
}

// Idle lists the lines of promises.reach that name no flow at all: such a line
// can't be judged and must not look as if it held.
func Idle(site *topology.Site) []topology.Reach {
	used := map[int]bool{}
	for _, r := range Matrix(site) {
		for i, line := range site.Promises.Reach {
			if names(site, line, r.Flow) {
				used[i] = true
			}
		}
	}
	var idle []topology.Reach
	for i, line := range site.Promises.Reach {
		if !used[i] {
			idle = append(idle, line)
		}
	}
	return idle
}

// ends lists the flows between two nodes without their service: one for each
// address of the target, and link-local where both are on one network.
func ends(site *topology.Site, from, to *topology.Machine) []Flow {
	var out []Flow
	for _, network := range site.Networks {
		addresses := to.Addresses(network.Name)
		for _, address := range addresses {
			out = append(out, Flow{From: from.Name, To: to.Name, Over: network.Name, Family: familyOf(address), Address: address})
		}
		if !network.Tunnel && on(from, network.Name) && on(to, network.Name) {
			out = append(out, Flow{From: from.Name, To: to.Name, Over: network.Name, Family: LinkLocal})
		}
	}
	return out
}

func familyOf(address netip.Addr) Family {
	switch {
	case address.Is4():
		return IPv4
	case address.IsLinkLocalUnicast():
		return LinkLocal
	}
	return IPv6
}

func on(m *topology.Machine, network string) bool {
	return slices.ContainsFunc(m.On, func(a topology.Attachment) bool { return a.Network == network })
}

func row(site *topology.Site, f Flow) Row {
	for _, line := range site.Promises.Reach {
		if names(site, line, f) {
			return Row{Flow: f, Want: WantOpen, Promise: PromiseReach, At: line.At}
		}
	}
	if slices.Contains(site.Promises.Silent, f.To) {
		return Row{Flow: f, Want: WantSilent, Promise: PromiseSilent, At: complement(site)}
	}
	return Row{Flow: f, Want: WantClosed, Promise: PromiseReach, At: complement(site)}
}

// complement is where a reader looks for a line that allows the flow: the head
// of the list.
func complement(site *topology.Site) topology.Position {
	if len(site.Promises.Reach) == 0 {
		return topology.Position{File: "site.yaml"}
	}
	return site.Promises.Reach[0].At
}

// names says whether a line of promises.reach names the flow. A line holds for
// each family that both ends have on the network; a source that is not on it
// has the families of the router between.
func names(site *topology.Site, line topology.Reach, f Flow) bool {
	if !slices.Contains(line.From, f.From) || !slices.Contains(line.To, f.To) ||
		!slices.Contains(line.Services, f.Service.Name) || (line.Over != "" && line.Over != f.Over) {
		return false
	}
	from, ok := site.Machine(f.From)
	if !ok {
		return false
	}
	if on(from, f.Over) {
		return f.Family == LinkLocal || hasFamily(from.Addresses(f.Over), f.Family)
	}
	for _, a := range from.On {
		router, ok := site.Router(a.Network)
		if ok && router != from && hasFamily(a.Addresses, f.Family) && hasFamily(router.Addresses(f.Over), f.Family) {
			return true
		}
	}
	return false
}

func hasFamily(addresses []netip.Addr, family Family) bool {
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool { return familyOf(a) == family })
}
