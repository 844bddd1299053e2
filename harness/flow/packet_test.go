package flow

import (
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

const key = 20000

var (
	src4, dst4 = net.IPv4(10, 1, 0, 2).To4(), net.IPv4(10, 2, 0, 2).To4()
	src6, dst6 = net.ParseIP("fd00:1::2"), net.ParseIP("fd00:2::2")
)

func serialize(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func ip4(p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: p, SrcIP: src4, DstIP: dst4}
}

func ip6(p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p, SrcIP: src6, DstIP: dst6}
}

func syn(t testing.TB) []byte {
	return serialize(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: key, DstPort: 22, SYN: true})
}

func TestParsePacket(t *testing.T) {
	quotedSYN := gopacket.Payload(syn(t)[:28]) // eight bytes of TCP: all that RFC 792 promises
	solicit := make([]byte, 20)
	copy(solicit[4:], dst6.To16())
	for name, c := range map[string]struct {
		ethertype uint16
		data      []byte
		want      packet
	}{
		"SYN": {unix.ETH_P_IP, syn(t), packet{kind: requestPacket, protocol: "tcp", key: key}},
		"SYN-ACK": {unix.ETH_P_IP, serialize(t, ip4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: key, SYN: true, ACK: true}),
			packet{kind: answerPacket, protocol: "tcp", key: key}},
		"RST": {unix.ETH_P_IPV6, serialize(t, ip6(layers.IPProtocolTCP), &layers.TCP{SrcPort: 22, DstPort: key, RST: true}),
			packet{kind: resetPacket, protocol: "tcp", key: key}},
		"datagram": {unix.ETH_P_IP, serialize(t, ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: key, DstPort: 53}),
			packet{kind: requestPacket, protocol: "udp", key: key}},
		"echo": {unix.ETH_P_IP, serialize(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: key}),
			packet{kind: requestPacket, protocol: "icmp", key: key}},
		"echo reply over IPv6": {unix.ETH_P_IPV6, serialize(t, ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(129, 0)},
			gopacket.Payload{key >> 8, key & 0xff, 0, 1}), packet{kind: answerPacket, protocol: "icmp", key: key}},
		"an error about a SYN": {unix.ETH_P_IP, serialize(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)}, quotedSYN),
			packet{kind: prohibitedPacket, protocol: "tcp", key: key}},
		"a solicitation": {unix.ETH_P_IPV6, serialize(t, ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(135, 0)}, gopacket.Payload(solicit)),
			packet{kind: solicitPacket, protocol: "icmp"}},
		"an ARP request": {unix.ETH_P_ARP, serialize(t, &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4,
			HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: make([]byte, 6), SourceProtAddress: src4, DstHwAddress: make([]byte, 6), DstProtAddress: dst4}),
			packet{kind: solicitPacket}},
	} {
		got, ok := parsePacket(c.ethertype, c.data)
		if !ok || got.kind != c.want.kind || got.protocol != c.want.protocol || got.key != c.want.key {
			t.Errorf("%s: got %+v, %t", name, got, ok)
		}
	}
	if p, _ := parsePacket(unix.ETH_P_IPV6, serialize(t, ip6(layers.IPProtocolICMPv6),
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)}, gopacket.Payload(solicit))); p.target != netip.MustParseAddr("fd00:2::2") {
		t.Errorf("advertisement of %s", p.target)
	}
}

func TestForeignPacketsAreNobodys(t *testing.T) {
	for name, layer := range map[string]*layers.TCP{
		"a SYN of somebody else":   {SrcPort: 40000, DstPort: 22, SYN: true},
		"data of a probe":          {SrcPort: key, DstPort: 22, ACK: true},
		"a SYN to a probe's range": {SrcPort: 40000, DstPort: key, SYN: true},
	} {
		if p, ok := parsePacket(unix.ETH_P_IP, serialize(t, ip4(layers.IPProtocolTCP), layer)); ok {
			t.Errorf("%s is %+v", name, p)
		}
	}
}

func TestProbeFilterAssembles(t *testing.T) {
	code := probeFilter()
	for i, instruction := range code {
		if _, err := instruction.Assemble(); err != nil {
			t.Errorf("instruction %d: %v", i, err)
		}
	}
}

func TestKeysAreUnique(t *testing.T) {
	var k keys
	k.start(7)
	seen := map[uint16]bool{}
	for range lastPort - firstPort + 1 {
		key := k.take()
		if !isKey(key) || seen[key] {
			t.Fatalf("%d comes twice, or is out of range", key)
		}
		seen[key] = true
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add(uint16(unix.ETH_P_IP), syn(f))
	arp, _ := hex.DecodeString("0001080006040001020304050607c0a80001000000000000c0a80002")
	f.Add(uint16(unix.ETH_P_ARP), arp)
	f.Add(uint16(unix.ETH_P_IPV6), serialize(f, ip6(layers.IPProtocolUDP), &layers.UDP{SrcPort: key, DstPort: 53}))
	f.Fuzz(func(t *testing.T, ethertype uint16, data []byte) {
		p, ok := parsePacket(ethertype, data)
		neighbourly := p.kind == solicitPacket || p.kind == advertPacket
		if ok && !neighbourly && !isKey(p.key) {
			t.Errorf("%+v is nobody's", p)
		}
	})
}

func FuzzTunnels(f *testing.F) {
	f.Add([]byte("wg0\tOWN=\nwg0\tAAAA=\t10.200.0.2/32 fd00::2/128\n"))
	f.Fuzz(func(_ *testing.T, out []byte) {
		for _, end := range parseTunnels("vps", out) {
			end.peerFor(netip.IPv6Unspecified())
		}
	})
}
