package flow

import (
	"net/netip"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Batches splits rows so that none of them meets a limit on new connections
// (promises.limits) before its own question is answered: of the connections
// that one address makes to a limited service, a batch has one less than pass.
// One less, because the matrix asks who may connect and not how often; a limit
// that is off by one is found by its own spec, under its own name.
//
// Each batch needs a lab of its own. Rows keep their order; without limits
// there is one batch.
func Batches(rows []Row, site *topology.Site) [][]Row {
	var batches [][]Row
	var counts []map[attemptsKey]int
	put := func(at int, r Row) {
		for at >= len(batches) {
			batches, counts = append(batches, nil), append(counts, map[attemptsKey]int{})
		}
		batches[at] = append(batches[at], r)
	}
	for _, r := range rows {
		allowed, limited := limitOf(site, r.Flow)
		if !limited {
			put(0, r)
			continue
		}
		key := attemptsKey{node: r.Flow.To, service: r.Flow.Service.Name, source: sourceAddress(site, r.Flow)}
		at := 0
		for at < len(counts) && counts[at][key] >= allowed {
			at++
		}
		put(at, r)
		counts[at][key]++
	}
	return batches
}

type attemptsKey struct {
	node    string
	service string
	source  netip.Addr
}

// limitOf gives how many attempts a batch may make.
func limitOf(site *topology.Site, f Flow) (int, bool) {
	allowed, limited := 0, false
	for _, l := range site.Promises.Limits {
		if l.Node != f.To || l.Service != f.Service.Name {
			continue
		}
		if n := max(1, l.Passes-1); !limited || n < allowed {
			allowed, limited = n, true
		}
	}
	return allowed, limited
}

// sourceAddress is the address that the target sees, as far as the site tells:
// the source's own on that network, else on the outer one, else that of the
// router which translates.
func sourceAddress(site *topology.Site, f Flow) netip.Addr {
	from, ok := site.Machine(f.From)
	if !ok {
		return netip.Addr{}
	}
	if a, ok := firstOf(from.Addresses(f.Over), f.Family); ok {
		return a
	}
	for _, outer := range site.Networks {
		if !outer.Outer() || outer.Tunnel {
			continue
		}
		if a, ok := firstOf(from.Addresses(outer.Name), f.Family); ok {
			return a
		}
		for _, at := range from.On {
			if router, ok := site.Router(at.Network); ok && router.NAT != nil {
				if a, ok := firstOf(router.Addresses(outer.Name), f.Family); ok {
					return a
				}
			}
		}
	}
	for _, at := range from.On {
		if a, ok := firstOf(at.Addresses, f.Family); ok {
			return a
		}
	}
	return netip.Addr{}
}

func firstOf(addresses []netip.Addr, family Family) (netip.Addr, bool) {
	for _, a := range addresses {
		if familyOf(a) == family {
			return a, true
		}
	}
	return netip.Addr{}, false
}
