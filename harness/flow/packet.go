package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// packet is what a witness understands of what it saw.
type packet struct {
	kind     packetKind
	protocol string // tcp, udp, icmp of the probe
	key      uint16 // of the probe: its source port or echo id
	source   netip.Addr
	target   netip.Addr // of ARP and neighbour discovery: the address asked for
	text     string
}

type packetKind int

const (
	requestPacket packetKind = iota + 1
	answerPacket
	resetPacket      // a TCP reset from the target's side
	prohibitedPacket // an ICMP error about a probe
	solicitPacket    // who has target?
	advertPacket     // I have target
)

// parsePacket reads a packet from its network header on. ethertype is that of
// the socket address (host order).
func parsePacket(ethertype uint16, data []byte) (packet, bool) {
	switch ethertype {
	case unix.ETH_P_ARP:
		return parseARP(data)
	case unix.ETH_P_IP:
		return parseIP(data, layers.LayerTypeIPv4)
	case unix.ETH_P_IPV6:
		return parseIP(data, layers.LayerTypeIPv6)
	}
	return packet{}, false
}

func parseARP(data []byte) (packet, bool) {
	var arp layers.ARP
	if err := arp.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil || len(arp.DstProtAddress) != 4 || len(arp.SourceProtAddress) != 4 {
		return packet{}, false
	}
	sender, _ := netip.AddrFromSlice(arp.SourceProtAddress)
	asked, _ := netip.AddrFromSlice(arp.DstProtAddress)
	switch arp.Operation {
	case layers.ARPRequest:
		return packet{kind: solicitPacket, source: sender, target: asked, text: fmt.Sprintf("ARP who has %s? tell %s", asked, sender)}, true
	case layers.ARPReply:
		return packet{kind: advertPacket, source: sender, target: sender, text: fmt.Sprintf("ARP %s is here", sender)}, true
	}
	return packet{}, false
}

// parseIP decodes up to the transport layer. Errors quote the packet that they
// are about, so the quoted one is parsed in turn.
func parseIP(data []byte, first gopacket.LayerType) (packet, bool) {
	var (
		ip4     layers.IPv4
		ip6     layers.IPv6
		tcp     layers.TCP
		udp     layers.UDP
		icmp4   layers.ICMPv4
		icmp6   layers.ICMPv6
		payload gopacket.Payload
	)
	parser := gopacket.NewDecodingLayerParser(first, &ip4, &ip6, &tcp, &udp, &icmp4, &icmp6, &payload)
	parser.IgnoreUnsupported = true
	var decoded []gopacket.LayerType
	// A snapped or quoted packet ends early; what was decoded still counts.
	_ = parser.DecodeLayers(data, &decoded)
	var from, to netip.Addr
	for _, layer := range decoded {
		switch layer {
		case layers.LayerTypeIPv4:
			from, _ = netip.AddrFromSlice(ip4.SrcIP)
			to, _ = netip.AddrFromSlice(ip4.DstIP)
		case layers.LayerTypeIPv6:
			from, _ = netip.AddrFromSlice(ip6.SrcIP)
			to, _ = netip.AddrFromSlice(ip6.DstIP)
		case layers.LayerTypeTCP:
			return tcpPacket(from, to, tcp)
		case layers.LayerTypeUDP:
			return udpPacket(from, to, udp)
		case layers.LayerTypeICMPv4:
			return icmp4Packet(from, to, icmp4)
		case layers.LayerTypeICMPv6:
			return icmp6Packet(from, to, icmp6)
		}
	}
	return packet{}, false
}

func tcpPacket(from, to netip.Addr, tcp layers.TCP) (packet, bool) {
	p := packet{protocol: "tcp", source: from}
	ends := fmt.Sprintf("%s > %s", netip.AddrPortFrom(from, uint16(tcp.SrcPort)), netip.AddrPortFrom(to, uint16(tcp.DstPort)))
	switch {
	case isKey(uint16(tcp.SrcPort)) && tcp.SYN && !tcp.ACK:
		p.kind, p.key, p.text = requestPacket, uint16(tcp.SrcPort), "SYN "+ends
	case isKey(uint16(tcp.DstPort)) && tcp.SYN && tcp.ACK:
		p.kind, p.key, p.text = answerPacket, uint16(tcp.DstPort), "SYN-ACK "+ends
	case isKey(uint16(tcp.DstPort)) && tcp.RST:
		p.kind, p.key, p.text = resetPacket, uint16(tcp.DstPort), "RST "+ends
	default:
		return packet{}, false
	}
	return p, true
}

func udpPacket(from, to netip.Addr, udp layers.UDP) (packet, bool) {
	p := packet{protocol: "udp", source: from}
	p.text = fmt.Sprintf("UDP %s > %s", netip.AddrPortFrom(from, uint16(udp.SrcPort)), netip.AddrPortFrom(to, uint16(udp.DstPort)))
	switch {
	case isKey(uint16(udp.SrcPort)):
		p.kind, p.key = requestPacket, uint16(udp.SrcPort)
	case isKey(uint16(udp.DstPort)):
		p.kind, p.key = answerPacket, uint16(udp.DstPort)
	default:
		return packet{}, false
	}
	return p, true
}

func icmp4Packet(from, to netip.Addr, icmp layers.ICMPv4) (packet, bool) {
	p := packet{protocol: "icmp", source: from, key: icmp.Id, text: fmt.Sprintf("ICMP %s %s > %s", icmp.TypeCode, from, to)}
	switch icmp.TypeCode.Type() {
	case layers.ICMPv4TypeEchoRequest:
		p.kind = requestPacket
	case layers.ICMPv4TypeEchoReply:
		p.kind = answerPacket
	case layers.ICMPv4TypeDestinationUnreachable:
		return quoted(p, icmp.Payload, layers.LayerTypeIPv4)
	default:
		return packet{}, false
	}
	return p, isKey(p.key)
}

func icmp6Packet(from, to netip.Addr, icmp layers.ICMPv6) (packet, bool) {
	body := icmp.Payload
	p := packet{protocol: "icmp", source: from, text: fmt.Sprintf("ICMPv6 %s %s > %s", icmp.TypeCode, from, to)}
	if len(body) < 4 {
		return packet{}, false
	}
	switch icmp.TypeCode.Type() {
	case layers.ICMPv6TypeEchoRequest:
		p.kind, p.key = requestPacket, binary.BigEndian.Uint16(body)
	case layers.ICMPv6TypeEchoReply:
		p.kind, p.key = answerPacket, binary.BigEndian.Uint16(body)
	case layers.ICMPv6TypeDestinationUnreachable:
		return quoted(p, body[4:], layers.LayerTypeIPv6)
	case layers.ICMPv6TypeNeighborSolicitation, layers.ICMPv6TypeNeighborAdvertisement:
		if len(body) < 20 {
			return packet{}, false
		}
		p.kind = solicitPacket
		if icmp.TypeCode.Type() == layers.ICMPv6TypeNeighborAdvertisement {
			p.kind = advertPacket
		}
		p.target, _ = netip.AddrFromSlice(body[4:20])
		p.text += " for " + p.target.String()
		return p, true
	default:
		return packet{}, false
	}
	return p, isKey(p.key)
}

// quoted makes an ICMP error out of the packet that it quotes.
func quoted(p packet, original []byte, first gopacket.LayerType) (packet, bool) {
	about, ok := parseQuoted(original, first)
	if !ok {
		return packet{}, false
	}
	p.kind, p.protocol, p.key = prohibitedPacket, about.protocol, about.key
	return p, true
}

// parseQuoted reads addresses and ports by hand: errors quote as little as
// eight bytes of a TCP header (RFC 792), too little for a decoder.
func parseQuoted(data []byte, first gopacket.LayerType) (packet, bool) {
	var protocol byte
	var transport []byte
	switch {
	case first == layers.LayerTypeIPv4 && len(data) >= 20:
		header := int(data[0]&0xf) * 4
		if header < 20 || len(data) < header {
			return packet{}, false
		}
		protocol, transport = data[9], data[header:]
	case first == layers.LayerTypeIPv6 && len(data) >= 40:
		protocol, transport = data[6], data[40:]
	default:
		return packet{}, false
	}
	if len(transport) < 8 {
		return packet{}, false
	}
	p := packet{key: binary.BigEndian.Uint16(transport)}
	switch protocol {
	case unix.IPPROTO_TCP:
		p.protocol = "tcp"
	case unix.IPPROTO_UDP:
		p.protocol = "udp"
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		p.protocol, p.key = "icmp", binary.BigEndian.Uint16(transport[4:])
	default:
		return packet{}, false
	}
	return p, isKey(p.key)
}
