package topology

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// label is what names networks, nodes and services: it must do as a host name.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// reserved words mean something in a promise.
var reserved = []string{"anyone", "any", "over", "at"}

// named checks a name of the site's own making.
func (l *loader) named(w word, what string) bool {
	switch {
	case slices.Contains(reserved, w.Text):
		l.problem(w.At, w.Path, "%q means something in promises and names no %s", w.Text, what)
	case !label.MatchString(w.Text):
		l.problem(w.At, w.Path, "a %s's name has lower-case letters, digits and dashes, at most 63", what)
	default:
		return true
	}
	return false
}

func (l *loader) head() {
	s, doc := l.site, l.doc
	s.Name, s.About, s.Driver = doc.Site.Text, doc.About.Text, "netns"
	if doc.Site.given() {
		l.named(doc.Site, "site")
	}
	if doc.Driver.given() {
		s.Driver = doc.Driver.Text
		if !slices.Contains(drivers, s.Driver) {
			l.problem(doc.Driver.At, doc.Driver.Path, "driver %q is not in this release%s", s.Driver, wayOut(s.Driver, drivers))
		}
	}
	if doc.RootFS.given() {
		s.RootFS = doc.RootFS.Text
		if !filepath.IsAbs(s.RootFS) {
			s.RootFS = filepath.Join(s.Dir, s.RootFS)
		}
	}
}

func (l *loader) networks() {
	for _, r := range l.doc.Networks.Rows {
		l.named(r.Key, "network")
		n := &Network{
			Name:      r.Key.Text,
			IPv4:      l.prefix(r.Value.IPv4, "IPv4", netip.Addr.Is4),
			IPv6:      l.prefix(r.Value.IPv6, "IPv6", netip.Addr.Is6),
			RoundTrip: l.duration(r.Value.RoundTrip),
			At:        r.Key.At,
		}
		if !r.Value.IPv4.given() && !r.Value.IPv6.given() && r.Value.given() {
			l.problem(r.Key.At, r.Key.Path, "has neither ipv4 nor ipv6")
		}
		// What is wrong with a prefix is said once, not again for each address.
		l.unsure[n.Name+" ipv4"] = !n.IPv4.IsValid() && r.Value.IPv4.given() || !r.Value.given()
		l.unsure[n.Name+" ipv6"] = !n.IPv6.IsValid() && r.Value.IPv6.given() || !r.Value.given()
		l.site.Networks = append(l.site.Networks, n)
	}
	l.oneOutside("IPv4", func(n *Network) bool { return n.IPv4.IsValid() && n.IPv4.Bits() == 0 })
	l.oneOutside("IPv6", func(n *Network) bool { return n.IPv6.IsValid() && n.IPv6.Bits() <= 3 })
	if l.doc.Networks.given() && len(l.doc.Networks.Rows) == 0 {
		l.problem(l.doc.Networks.At, "networks", "a site needs at least one network")
	}
}

func (l *loader) oneOutside(family string, is func(*Network) bool) {
	var first *Network
	for _, n := range l.site.Networks {
		if !is(n) {
			continue
		}
		if first != nil {
			l.problem(n.At, "networks."+n.Name, "is all of %s, and so is network %q; there is one outside", family, first.Name)
		}
		first = n
	}
}

func (l *loader) prefix(w word, family string, is func(netip.Addr) bool) netip.Prefix {
	if !w.given() {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(w.Text)
	switch {
	case err != nil:
		l.problem(w.At, w.Path, "%q is no prefix such as %s", short(w.Text), map[string]string{"IPv4": "192.168.100.0/24", "IPv6": "fd00:100::/64"}[family])
	case !is(p.Addr()) || p.Addr().Is4In6():
		l.problem(w.At, w.Path, "%s is no %s prefix", p, family)
	case p != p.Masked():
		l.problem(w.At, w.Path, "%s has bits behind its length; did you mean %q?", p, p.Masked())
	default:
		return p
	}
	return netip.Prefix{}
}

func (l *loader) duration(w word) time.Duration {
	if !w.given() {
		return 0
	}
	d, err := parseDuration(w.Text)
	if err != nil || d <= 0 {
		l.problem(w.At, w.Path, "%q is no length of time such as 97ms, 30s or 6h", short(w.Text))
		return 0
	}
	return d
}

// parseDuration takes what people write: 30s, 6h 30m.
func parseDuration(s string) (time.Duration, error) {
	return time.ParseDuration(strings.Join(strings.Fields(s), ""))
}

func (l *loader) services() {
	l.site.Services = slices.Clone(builtIn)
	for _, r := range l.doc.Services.Rows {
		if !l.named(r.Key, "service") {
			continue
		}
		if _, twice := l.site.Service(r.Key.Text); twice {
			l.problem(r.Key.At, r.Key.Path, "service %q is built in; give yours another name", r.Key.Text)
			continue
		}
		s, ok := parseService(r.Value.Text)
		if !ok && r.Value.given() {
			l.problem(r.Value.At, r.Value.Path, "%q is no service such as tcp/80, udp/514 or icmp", short(r.Value.Text))
		}
		s.Name = r.Key.Text
		l.site.Services = append(l.site.Services, s)
	}
}

func parseService(text string) (Service, bool) {
	protocol, port, _ := strings.Cut(text, "/")
	if text == "icmp" {
		return Service{Protocol: text}, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || protocol != "tcp" && protocol != "udp" {
		return Service{}, false
	}
	return Service{Protocol: protocol, Port: uint16(n)}, true
}

func (l *loader) networkNames() []string {
	var names []string
	for _, n := range l.site.Networks {
		names = append(names, n.Name)
	}
	return names
}

func (l *loader) nodeNames() []string {
	var names []string
	for _, m := range l.site.Nodes {
		names = append(names, m.Name)
	}
	return names
}

func (l *loader) serviceNames() []string {
	var names []string
	for _, s := range l.site.Services {
		names = append(names, s.Name)
	}
	return names
}
