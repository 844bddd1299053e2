package flow

import (
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// Explain says what in the site's files causes a verdict that is not the wanted
// one, and what to change. Both are sentences without a full stop; the cause is
// what a waiver has to quote.
func Explain(site *topology.Site, p Probe, r Row) (cause, change string) {
	switch {
	case p.Saw == Unknown:
		return p.Why, ""
	case r.Want == WantOpen && p.Saw == WrongService:
		return fmt.Sprintf("%s is not what should be there: %s", p.Flow.Service.Name, p.Identity),
			fmt.Sprintf("let the right service listen on port %d of %s, with its own key", p.Flow.Service.Port, p.Flow.To)
	case r.Want == WantOpen:
		return explainClosed(p)
	case p.Saw == Refused:
		return explainRefused(p)
	}
	return explainOpen(site, p)
}

// explainClosed is for a flow that should be open.
func explainClosed(p Probe) (cause, change string) {
	rule := p.Rule
	switch {
	case rule == nil:
		return p.Why, ""
	case p.discovery:
		return fmt.Sprintf("%s: no rule accepts neighbour discovery, so IPv6 is dead there", ruleLine(*rule)),
			"accept `icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }` from the own link (`ip6 hoplimit 255`)"
	case isPolicy(*rule):
		return fmt.Sprintf("%s: no rule accepts it", ruleLine(*rule)), fmt.Sprintf("add a rule that accepts %s from %s", about(p.Flow), p.Flow.From)
	}
	return fmt.Sprintf("%s drops it", ruleLine(*rule)), fmt.Sprintf("accept %s from %s before that line", about(p.Flow), p.Flow.From)
}

func explainRefused(p Probe) (cause, change string) {
	if p.Rule == nil {
		return p.Why, ""
	}
	return fmt.Sprintf("%s answers instead of keeping silent", ruleLine(*p.Rule)), "drop there instead of rejecting"
}

// explainOpen is for a flow that should be closed.
func explainOpen(site *topology.Site, p Probe) (cause, change string) {
	if p.Rule != nil && !isPolicy(*p.Rule) {
		cause = fmt.Sprintf("%s accepts it", ruleLine(*p.Rule))
		if n, ok := site.Network(p.Flow.Over); ok && n.Tunnel && !onNetwork(site, p.Flow.From, n.Name) {
			// Linux answers for each of its addresses on every interface.
			return cause, fmt.Sprintf("drop what is for %s and did not come in by %s, before that line", prefixOf(n, p.Flow.Family), n.Name)
		}
		return cause, fmt.Sprintf("narrow that rule by interface and source, or drop %s from %s before it", about(p.Flow), p.Flow.From)
	}
	if cause, change, ok := noFilter(site, p.Flow.To, p.Flow.Family); ok {
		return cause, change
	}
	if p.Rule != nil {
		return fmt.Sprintf("%s lets in what no rule names", ruleLine(*p.Rule)), "give that chain the policy drop, and a rule for each flow that is promised"
	}
	// A target without any filter was never meant to close it: the source was.
	if cause, change, ok := noFilter(site, p.Flow.From, p.Flow.Family); ok {
		return cause, change
	}
	return fmt.Sprintf("%s has no packet filter for %s", p.Flow.To, familyName(p.Flow.Family)), "give it one that drops what is not promised"
}

// noFilter looks for the file that should have held the rules: the other
// family's is there, and this one's is empty or missing.
func noFilter(site *topology.Site, node string, family Family) (cause, change string, found bool) {
	m, ok := site.Machine(node)
	if !ok {
		return "", "", false
	}
	saved, err := filter.ReadSaved(siteFiles{m})
	if err != nil {
		return "", "", false
	}
	own, other := filter.RulesV4, filter.RulesV6
	if family != IPv4 {
		own, other = other, own
	}
	mine, theirs := saved.File(own), saved.File(other)
	change = fmt.Sprintf("give %s the same rules as %s (`:INPUT DROP`, …)", path.Base(own), path.Base(other))
	switch {
	case mine.Empty():
		return fmt.Sprintf("%s:%s is empty", node, own), change, true
	case !mine.Exists && theirs.Exists:
		return fmt.Sprintf("%s:%s does not exist", node, own), change, true
	case saved.File(filter.Nftables).Exists && !saved.Filters(familyTables(family)...):
		return fmt.Sprintf("%s:%s has no input chain for %s", node, filter.Nftables, familyName(family)),
			"make its table one of family inet", true
	}
	return "", "", false
}

func onNetwork(site *topology.Site, node, network string) bool {
	m, ok := site.Machine(node)
	return ok && on(m, network)
}

func prefixOf(n *topology.Network, f Family) netip.Prefix {
	if f == IPv4 {
		return n.IPv4
	}
	return n.IPv6
}

func familyTables(f Family) []string {
	if f == IPv4 {
		return []string{"ip", "inet"}
	}
	return []string{"ip6", "inet"}
}

func familyName(f Family) string {
	if f == IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// about names what a rule would have to match.
func about(f Flow) string {
	switch f.Service.Protocol {
	case "icmp":
		if f.Family == IPv4 {
			return "ICMP echo requests"
		}
		return "ICMPv6 echo requests"
	}
	return fmt.Sprintf("%s port %d", f.Service.Protocol, f.Service.Port)
}

func isPolicy(r filter.Rule) bool {
	return strings.HasPrefix(r.Text, "policy ") || strings.HasPrefix(r.Text, ":")
}

// siteFiles reads a node's files from the site's folder. Their placeholders are
// still there, which changes no line.
type siteFiles struct{ m *topology.Machine }

func (s siteFiles) Read(name string) ([]byte, error) {
	f, ok := s.m.File(name)
	if !ok {
		return nil, os.ErrNotExist
	}
	return os.ReadFile(f.Source)
}

func (s siteFiles) Glob(pattern string) ([]string, error) {
	var out []string
	for _, f := range s.m.Files {
		ok, err := path.Match(pattern, f.Path)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, f.Path)
		}
	}
	slices.Sort(out)
	return out, nil
}
