package topology

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WireGuard is what a file of wg-quick's says, as wg(8) and wg-quick(8) define it.
// Lines and order of repeated keys are kept.
type WireGuard struct {
	Addresses  []WireGuardAddress
	ListenPort uint16 // zero: any
	PrivateKey string // the placeholder; a key itself is never kept
	MTU        int    // zero: wg-quick's own
	Table      string // auto, off or a number; "" is auto
	DNS        []string
	PreUp      []WireGuardCommand
	PostUp     []WireGuardCommand
	PreDown    []WireGuardCommand
	PostDown   []WireGuardCommand
	SaveConfig bool
	Peers      []WireGuardPeer
	At         Position // [Interface]
}

// WireGuardAddress is an address of the interface with its prefix's length.
type WireGuardAddress struct {
	Prefix netip.Prefix // 10.200.0.1/24, not masked
	At     Position
}

// WireGuardCommand is a shell command that wg-quick runs; %i is the interface.
type WireGuardCommand struct {
	Text string
	At   Position
}

// WireGuardPeer is one [Peer].
type WireGuardPeer struct {
	PublicKey    string         // a placeholder, or base64
	PresharedKey string         // the placeholder; a key itself is never kept
	AllowedIPs   []netip.Prefix // masked, as WireGuard holds them
	Endpoint     string         // host:port as written; "" when the peer comes to us
	Keepalive    time.Duration  // zero: off
	At           Position       // [Peer]
}

// maxWireGuardLine is longer than any command that people write.
const maxWireGuardLine = 64 << 10

// ParseWireGuard reads a file of wg-quick's. The problems carry name and line;
// the result then holds what could be read.
func ParseWireGuard(name string, r io.Reader) (WireGuard, Problems) {
	p := &wireguardParser{allowed: map[netip.Prefix]int{}, public: map[string]int{}}
	p.position.File = name
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxWireGuardLine)
	for lines.Scan() {
		p.position.Line++
		p.line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		p.position.Line++
		p.problem("cannot be read: %v", err)
	}
	p.endPeer()
	if p.w.At.Line == 0 {
		p.problems = append(p.problems, Problem{Position: Position{File: name}, Text: "has no [Interface]"})
	}
	p.problems.Sort()
	return p.w, p.problems
}

type wireguardParser struct {
	w        WireGuard
	section  string
	peer     *WireGuardPeer
	position Position
	allowed  map[netip.Prefix]int // prefix → the line of the peer that has it
	public   map[string]int       // key → the line of its peer
	problems Problems
}

func (p *wireguardParser) problem(format string, args ...any) {
	p.problems = append(p.problems, Problem{Position: p.position, Path: p.section, Text: fmt.Sprintf(format, args...)})
}

func (p *wireguardParser) line(text string) {
	text, _, _ = strings.Cut(text, "#")
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	if strings.HasPrefix(text, "[") {
		p.begin(text)
		return
	}
	key, value, ok := strings.Cut(text, "=")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	switch {
	case !ok:
		p.problem("a line is `key = value`, and here is no =")
	case p.section == "interface":
		p.setting(interfaceKeys, key, value)
	case p.section == "peer":
		p.setting(peerKeys, key, value)
	case p.section == "":
		p.problem("a key before the first section; begin with [Interface]")
	}
}

func (p *wireguardParser) begin(text string) {
	p.endPeer()
	switch p.section = strings.ToLower(strings.Trim(text, "[] \t")); p.section {
	case "interface":
		if p.w.At.Line == 0 {
			p.w.At = p.position
		}
	case "peer":
		p.peer = &WireGuardPeer{At: p.position}
	default:
		p.problem("section %q is not known; there are [Interface] and [Peer]", short(text))
	}
}

func (p *wireguardParser) endPeer() {
	if p.peer == nil {
		return
	}
	if p.peer.PublicKey == "" {
		p.problems = append(p.problems, Problem{Position: p.peer.At, Path: "peer", Text: "has no PublicKey"})
	}
	p.w.Peers = append(p.w.Peers, *p.peer)
	p.peer = nil
}

type wireguardKey struct {
	name string // as people write it
	set  func(p *wireguardParser, value string)
}

func (p *wireguardParser) setting(known []wireguardKey, key, value string) {
	var names []string
	for _, k := range known {
		if strings.EqualFold(k.name, key) {
			if value == "" && k.name != "AllowedIPs" {
				p.problem("%s has no value", k.name)
				return
			}
			k.set(p, value)
			return
		}
		names = append(names, strings.ToLower(k.name))
	}
	p.problem("key %q is not known%s", short(key), wayOut(key, names))
}

var interfaceKeys = []wireguardKey{
	{"Address", (*wireguardParser).address},
	{"PrivateKey", func(p *wireguardParser, v string) { p.w.PrivateKey = p.secretKey("PrivateKey", v) }},
	{"ListenPort", func(p *wireguardParser, v string) { p.w.ListenPort = uint16(p.number("ListenPort", v, 0, 65535)) }},
	{"MTU", func(p *wireguardParser, v string) { p.w.MTU = p.number("MTU", v, 576, 65535) }},
	{"Table", (*wireguardParser).table},
	{"DNS", func(p *wireguardParser, v string) { p.w.DNS = append(p.w.DNS, list(v)...) }},
	{"FwMark", func(p *wireguardParser, v string) {
		if _, err := strconv.ParseUint(v, 0, 32); err != nil && v != "off" {
			p.problem("FwMark %q is no number and not off", short(v))
		}
	}},
	{"PreUp", func(p *wireguardParser, v string) { p.w.PreUp = p.command(p.w.PreUp, v) }},
	{"PostUp", func(p *wireguardParser, v string) { p.w.PostUp = p.command(p.w.PostUp, v) }},
	{"PreDown", func(p *wireguardParser, v string) { p.w.PreDown = p.command(p.w.PreDown, v) }},
	{"PostDown", func(p *wireguardParser, v string) { p.w.PostDown = p.command(p.w.PostDown, v) }},
	{"SaveConfig", func(p *wireguardParser, v string) {
		if p.w.SaveConfig = v == "true"; v != "true" && v != "false" {
			p.problem("SaveConfig is true or false, not %q", short(v))
		}
	}},
}

var peerKeys = []wireguardKey{
	{"PublicKey", (*wireguardParser).publicKey},
	{"PresharedKey", func(p *wireguardParser, v string) { p.peer.PresharedKey = p.secretKey("PresharedKey", v) }},
	{"AllowedIPs", (*wireguardParser).allowedIPs},
	{"Endpoint", (*wireguardParser).endpoint},
	{"PersistentKeepalive", func(p *wireguardParser, v string) {
		if v != "off" {
			p.peer.Keepalive = time.Duration(p.number("PersistentKeepalive", v, 0, 65535)) * time.Second
		}
	}},
}

func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func (p *wireguardParser) number(key, value string, low, high int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		p.problem("%s %q is no number from %d to %d", key, short(value), low, high)
		return 0
	}
	return n
}

func (p *wireguardParser) table(value string) {
	if _, err := strconv.ParseUint(value, 0, 32); err != nil && value != "auto" && value != "off" {
		p.problem("Table %q is not auto, off or a number", short(value))
		return
	}
	p.w.Table = value
}

func (p *wireguardParser) command(all []WireGuardCommand, value string) []WireGuardCommand {
	return append(all, WireGuardCommand{Text: value, At: p.position})
}

func (p *wireguardParser) address(value string) {
	for _, item := range list(value) {
		if prefix, ok := p.prefix("Address", item); ok {
			p.w.Addresses = append(p.w.Addresses, WireGuardAddress{Prefix: prefix, At: p.position})
		}
	}
}

// prefix takes an address with or without a length, as wg does.
func (p *wireguardParser) prefix(key, item string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(item)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(item); err == nil && addr.Zone() == "" {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	if !prefix.IsValid() || prefix.Addr().Is4In6() {
		p.problem("%s %q is no address such as 10.200.0.1/24", key, short(item))
		return netip.Prefix{}, false
	}
	return prefix, true
}

// wholePlaceholder is a value that is a placeholder and nothing else.
var wholePlaceholder = regexp.MustCompile(`^@\{[^{}]*\}$`)

// secretKey returns the placeholder. A literal key is a problem of the site,
// which the search for secrets reports; the parser only says whether it is one.
func (p *wireguardParser) secretKey(key, value string) string {
	if wholePlaceholder.MatchString(value) {
		return value
	}
	if !validKey(value) {
		p.problem("%s is neither a placeholder such as @{wg.NODE.private} nor a key of 32 bytes in base64", key)
	}
	return ""
}

func (p *wireguardParser) publicKey(value string) {
	if !wholePlaceholder.MatchString(value) && !validKey(value) {
		p.problem("PublicKey %q is neither a placeholder such as @{wg.NODE.public} nor a key of 32 bytes in base64", short(value))
	}
	if line, again := p.public[value]; again {
		p.problem("the peer in line %d has this PublicKey too; wg makes one peer of them", line)
	}
	p.public[value] = p.peer.At.Line
	p.peer.PublicKey = value
}

// validKey says whether the text is 32 bytes in base64, as wg takes it: padded,
// and with no bits left over.
func validKey(text string) bool {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(key) == 32
}

func (p *wireguardParser) allowedIPs(value string) {
	for _, item := range list(value) {
		prefix, ok := p.prefix("AllowedIPs", item)
		if !ok {
			continue
		}
		prefix = prefix.Masked()
		if line, again := p.allowed[prefix]; again && line != p.peer.At.Line {
			p.problem("AllowedIPs %s is the peer's in line %d already; WireGuard gives it to the last one only", prefix, line)
			continue
		}
		p.allowed[prefix] = p.peer.At.Line
		if !slices.Contains(p.peer.AllowedIPs, prefix) {
			p.peer.AllowedIPs = append(p.peer.AllowedIPs, prefix)
		}
	}
}

// endpointText is host:port or [IPv6]:port; the host may be a name.
var endpointText = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+(%[^\]]+)?\]|[A-Za-z0-9._-]+):([0-9]{1,5})$`)

func (p *wireguardParser) endpoint(value string) {
	p.peer.Endpoint = value
	parts := endpointText.FindStringSubmatch(value)
	if parts == nil {
		p.problem("Endpoint %q is no host and port such as 198.51.100.20:51820 or [2001:db8::1]:51820", short(value))
		return
	}
	p.number("the Endpoint's port", parts[3], 1, 65535)
}

// interfaceName is what wg-quick takes.
var interfaceName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

// tunnelName is the interface that a file is of.
func tunnelName(name string) (string, bool) {
	iface, ok := strings.CutSuffix(path.Base(name), ".conf")
	return iface, ok && path.Dir(name) == "/etc/wireguard"
}
