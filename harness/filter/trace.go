package filter

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Kind is what a line of a trace tells.
type Kind string

// The kinds. A packet is printed before the first rule of each base chain
// that it meets; rules and policies refer to it by its id only.
const (
	KindPacket Kind = "packet"
	KindRule   Kind = "rule"
	KindPolicy Kind = "policy"
)

// Event is one line of `nft -a monitor trace`.
type Event struct {
	ID      string // of the packet within the node, such as 28ebc4ec
	Family  string
	Table   string
	Chain   string
	Kind    Kind
	Packet  Packet // of a packet
	Handle  int    // of a rule; zero when nft did not print it
	Text    string // of a rule as nft knew it; "" when it was added after the monitor started
	Verdict string // accept, drop, continue, return, jump SSH_CHECK, …
}

// Decides says whether the packet's way through this base chain ended here.
func (e Event) Decides() bool {
	return e.Kind != KindPacket && (e.Verdict == "accept" || e.Verdict == "drop")
}

// Packet is what a trace prints of a packet.
type Packet struct {
	In, Out         string // interfaces
	Source          netip.Addr
	Destination     netip.Addr
	Protocol        string // tcp, udp, icmp, icmpv6; "" when it is none of them
	SourcePort      uint16
	DestinationPort uint16
	Flags           string // tcp, as printed: "syn", "syn | ack"
	Type            string // icmp and icmpv6: echo-request, nd-neighbor-solicit, …
	EchoID          uint16 // of an echo request or reply
}

// ReadTrace hands each event of a trace to each, until the stream ends. Lines
// that are no events, such as nft's warnings, are passed over.
func ReadTrace(r io.Reader, each func(Event)) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if e, ok := ParseEvent(strings.TrimRight(line, "\n")); ok {
			each(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read trace: %w", err)
		}
	}
}

// ParseEvent reads one line of a trace.
func ParseEvent(line string) (Event, bool) {
	rest, ok := strings.CutPrefix(line, "trace id ")
	if !ok {
		return Event{}, false
	}
	head := strings.SplitN(rest, " ", 6)
	if len(head) < 6 {
		return Event{}, false
	}
	e := Event{ID: head[0], Family: head[1], Table: head[2], Chain: head[3]}
	if !families[e.Family] || e.ID == "" || e.Table == "" || e.Chain == "" {
		return Event{}, false // "conntrack: …" and whatever later versions add
	}
	switch body := head[5]; head[4] {
	case "packet:":
		e.Kind, e.Packet = KindPacket, parsePacket(body)
		return e, true
	case "rule":
		e.Kind = KindRule
		return e, parseTracedRule(body, &e)
	case "unknown":
		e.Kind = KindRule
		body, ok = strings.CutPrefix(body, "rule handle ")
		return e, ok && parseUnknownRule(body, &e)
	case "policy":
		e.Kind, e.Verdict = KindPolicy, strings.TrimSpace(body)
		e.Text = "policy " + e.Verdict
		return e, e.Verdict != ""
	}
	return Event{}, false
}

var families = map[string]bool{"ip": true, "ip6": true, "inet": true, "bridge": true, "netdev": true, "arp": true}

// parseTracedRule reads `tcp dport 22 accept # handle 7 (verdict accept)`.
func parseTracedRule(body string, e *Event) bool {
	body = strings.TrimSpace(body)
	at := strings.LastIndex(body, "(verdict ")
	if at < 0 || !strings.HasSuffix(body, ")") {
		return false
	}
	e.Verdict = body[at+len("(verdict ") : len(body)-1]
	e.Text, e.Handle = cutHandle(strings.TrimSpace(body[:at]))
	return e.Verdict != ""
}

// parseUnknownRule reads `19 (verdict drop)`: nft's monitor keeps the rules
// that it saw when it started, and has only the handle of a later one.
func parseUnknownRule(body string, e *Event) bool {
	if !parseTracedRule(body, e) {
		return false
	}
	handle, err := strconv.Atoi(e.Text)
	e.Text, e.Handle = "", handle
	return err == nil
}

// cutHandle takes ` # handle 7` off the end of what nft -a prints.
func cutHandle(text string) (string, int) {
	at := strings.LastIndex(text, "# handle ")
	if at < 0 {
		return text, 0
	}
	handle, err := strconv.Atoi(strings.TrimSpace(text[at+len("# handle "):]))
	if err != nil {
		return text, 0
	}
	return strings.TrimSpace(text[:at]), handle
}

// parsePacket reads the words of a packet line; what is not known is passed
// over, for the set of fields grows with nft and the kernel.
func parsePacket(body string) Packet {
	var p Packet
	words := strings.Fields(body)
	for i := 0; i < len(words); i++ {
		value := func(n int) string {
			if i+n < len(words) {
				return words[i+n]
			}
			return ""
		}
		switch words[i] {
		case "iif":
			p.In = strings.Trim(value(1), `"`)
			i++
		case "oif":
			p.Out = strings.Trim(value(1), `"`)
			i++
		case "ip", "ip6":
			p.network(value(1), value(2))
			i += 2
		case "tcp", "udp":
			p.Protocol = words[i]
			if value(1) == "flags" {
				// flags == syn, or flags == 0x12 (syn | ack) in other versions
				p.Flags = flags(words[i+2:])
				i += 2
				continue
			}
			p.port(value(1), value(2))
			i += 2
		case "icmp", "icmpv6":
			p.Protocol = words[i]
			p.icmp(value(1), value(2))
			i += 2
		case "ether":
			i += 2
		}
	}
	return p
}

func (p *Packet) network(field, value string) {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return
	}
	switch field {
	case "saddr":
		p.Source = addr
	case "daddr":
		p.Destination = addr
	}
}

func (p *Packet) port(field, value string) {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return
	}
	switch field {
	case "sport":
		p.SourcePort = uint16(n)
	case "dport":
		p.DestinationPort = uint16(n)
	}
}

func (p *Packet) icmp(field, value string) {
	switch field {
	case "type":
		p.Type = value
	case "id":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil {
			p.EchoID = uint16(n)
		}
	case "parameter-problem":
		// nft 1.1.3 prints the four bytes after an ICMPv6 checksum under
		// this name whatever the type: of an echo, id and sequence.
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			p.EchoID = uint16(n >> 16)
		}
	}
}

// flags joins what stands between "flags" and "tcp window".
func flags(words []string) string {
	var out []string
	for _, w := range words {
		if w == "tcp" {
			break
		}
		if w != "==" {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// Concerns says whether a neighbour solicitation or advertisement is about the
// address. The trace prints the target garbled (nft 1.1.3 shows it four bytes
// off), so a solicitation is known by whom it is sent to, an advertisement by
// its sender.
func (p Packet) Concerns(addr netip.Addr) bool {
	addr = addr.WithZone("")
	switch p.Type {
	case "nd-neighbor-solicit":
		return p.Destination == addr || p.Destination == solicitedNode(addr)
	case "nd-neighbor-advert":
		return p.Source == addr
	}
	return false
}

// solicitedNode is the multicast group of an address (RFC 4291, 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return netip.Addr{}
	}
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	own := addr.As16()
	copy(group[13:], own[13:])
	return netip.AddrFrom16(group)
}
