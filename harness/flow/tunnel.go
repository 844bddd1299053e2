package flow

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
)

// tunnelEnd is what one WireGuard interface sends to whom, and takes from whom.
type tunnelEnd struct {
	key   string                    // its public key
	peers map[string][]netip.Prefix // AllowedIPs by the peer's public key
}

// askTunnels asks WireGuard for keys and AllowedIPs. `wg show … dump` would
// print the private key; this doesn't.
func (s *station) askTunnels(ctx context.Context) (map[place]tunnelEnd, error) {
	result, err := s.node.Run(ctx, topology.Command{Argv: []string{"sh", "-c", "wg show all public-key && wg show all allowed-ips"}})
	if err != nil {
		return nil, fmt.Errorf("%s: ask for AllowedIPs: %w", s.name, err)
	}
	return parseTunnels(s.name, result.Stdout), nil
}

// parseTunnels reads lines of interface and own key, and of interface, peer's
// key and prefixes; "(none)" stands for no prefix.
func parseTunnels(node string, out []byte) map[place]tunnelEnd {
	ends := map[place]tunnelEnd{}
	for _, line := range splitLines(out) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		at := place{node, words[0]}
		end := ends[at]
		if end.peers == nil {
			end.peers = map[string][]netip.Prefix{}
		}
		if len(words) == 2 {
			end.key = words[1]
		}
		for _, word := range words[2:] {
			if p, err := netip.ParsePrefix(word); err == nil {
				end.peers[words[1]] = append(end.peers[words[1]], p)
			}
		}
		ends[at] = end
	}
	return ends
}

// peerFor is the peer that gets packets to an address: the longest prefix wins.
func (e tunnelEnd) peerFor(address netip.Addr) (string, bool) {
	best, bits := "", -1
	for peer, prefixes := range e.peers {
		for _, p := range prefixes {
			if p.Contains(address) && p.Bits() > bits {
				best, bits = peer, p.Bits()
			}
		}
	}
	return best, bits >= 0
}

func containing(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(address) {
			return true
		}
	}
	return false
}
