package topology_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

func TestAWireGuardFileIsReadAsWgQuickReadsIt(t *testing.T) {
	g := NewWithT(t)
	w, problems := topology.ParseWireGuard("wg0.conf", strings.NewReader(`# the hub
[interface]
address = 10.7.0.1/24, fd07::1/64   # both families
Address=10.7.1.1
ListenPort = 51820
PrivateKey = @{wg.hub.private}
MTU = 1420
DNS = 10.7.0.53, lan
FwMark = 0xca6c
Table = off
PostUp = iptables -A INPUT -i %i -p tcp --dport 8007 -j ACCEPT
PostUp = ip route add default dev %i
PostDown = true

[Peer] # Berlin
PublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
PresharedKey = @{psk.hub.berlin}
AllowedIPs = 10.7.0.10/32,
AllowedIPs = 192.168.7.9/24
Endpoint = [2001:db8::1]:51820
PersistentKeepalive = 25

[Peer]
PublicKey = @{wg.munich.public}
PersistentKeepalive = off
AllowedIPs =
`))
	g.Expect(problems).To(BeEmpty())
	g.Expect(w.At.Line).To(Equal(2))
	g.Expect(w.Addresses).To(HaveLen(3))
	g.Expect(w.Addresses[1].Prefix).To(Equal(netip.MustParsePrefix("fd07::1/64")))
	g.Expect(w.Addresses[2].Prefix).To(Equal(netip.MustParsePrefix("10.7.1.1/32")))
	g.Expect(w.Addresses[2].At.Line).To(Equal(4))
	g.Expect(w.ListenPort).To(Equal(uint16(51820)))
	g.Expect(w.PrivateKey).To(Equal("@{wg.hub.private}"))
	g.Expect(w.MTU).To(Equal(1420))
	g.Expect(w.DNS).To(HaveExactElements("10.7.0.53", "lan"))
	g.Expect(w.Table).To(Equal("off"))
	g.Expect(w.PostUp).To(HaveLen(2))
	g.Expect(w.PostUp[0].Text).To(Equal("iptables -A INPUT -i %i -p tcp --dport 8007 -j ACCEPT"))
	g.Expect(w.PostUp[1].At.String()).To(Equal("wg0.conf:12"))
	g.Expect(w.PostDown).To(HaveLen(1))

	g.Expect(w.Peers).To(HaveLen(2))
	berlin := w.Peers[0]
	g.Expect(berlin.AllowedIPs).To(HaveExactElements(
		netip.MustParsePrefix("10.7.0.10/32"), netip.MustParsePrefix("192.168.7.0/24")))
	g.Expect(berlin.Endpoint).To(Equal("[2001:db8::1]:51820"))
	g.Expect(berlin.Keepalive).To(Equal(25 * time.Second))
	g.Expect(berlin.PresharedKey).To(Equal("@{psk.hub.berlin}"))
	g.Expect(berlin.At.Line).To(Equal(15))
	g.Expect(w.Peers[1].PublicKey).To(Equal("@{wg.munich.public}"))
}

func TestAKeyItselfIsNeverKept(t *testing.T) {
	w, _ := topology.ParseWireGuard("wg0.conf", strings.NewReader(
		"[Interface]\nPrivateKey = "+someKey+"\n[Peer]\nPublicKey = @{wg.a.public}\nPresharedKey = "+someKey+"\n"))
	if w.PrivateKey != "" || w.Peers[0].PresharedKey != "" {
		t.Error("a private key stays in the result")
	}
}

func TestEveryBadLineOfAWireGuardFileIsNamed(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"", "wg0.conf: has no [Interface]"},
		{"Address = 10.0.0.1/24\n[Interface]\n", "wg0.conf:1: a key before the first section; begin with [Interface]"},
		{"[Interface]\n[Pear]\nPublicKey = x\n", "wg0.conf:2: pear: section \"[Pear]\" is not known; there are [Interface] and [Peer]"},
		{"[Interface]\nAddress\n", "wg0.conf:2: interface: a line is `key = value`, and here is no ="},
		{"[Interface]\nAddress =\n", "wg0.conf:2: interface: Address has no value"},
		{"[Interface]\nAddress = 10.200.0.1/33\n", `wg0.conf:2: interface: Address "10.200.0.1/33" is no address such as 10.200.0.1/24`},
		{"[Interface]\nListenPort = 99999\n", `wg0.conf:2: interface: ListenPort "99999" is no number from 0 to 65535`},
		{"[Interface]\nTable = main\n", `wg0.conf:2: interface: Table "main" is not auto, off or a number`},
		{"[Interface]\nSaveConfig = yes\n", `wg0.conf:2: interface: SaveConfig is true or false, not "yes"`},
		{"[Interface]\nPostup2 = x\n", `wg0.conf:2: interface: key "postup2" is not known; did you mean "postup"?`},
		{"[Interface]\nPrivateKey = secret\n", "wg0.conf:2: interface: PrivateKey is neither a placeholder such as @{wg.NODE.private} nor a key of 32 bytes in base64"},
		{"[Interface]\n[Peer]\nAllowedIPs = 10.0.0.0/8\n", "wg0.conf:2: peer: has no PublicKey"},
		{"[Interface]\n[Peer]\nPublicKey = @{wg.a.public}\nEndpoint = 10.0.0.1\n", `wg0.conf:4: peer: Endpoint "10.0.0.1" is no host and port such as 198.51.100.20:51820 or [2001:db8::1]:51820`},
		{"[Interface]\n[Peer]\nPublicKey = @{wg.a.public}\n[Peer]\nPublicKey = @{wg.a.public}\n", "wg0.conf:5: peer: the peer in line 2 has this PublicKey too; wg makes one peer of them"},
	} {
		_, problems := topology.ParseWireGuard("wg0.conf", strings.NewReader(c.content))
		if got := problems.Error(); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.content, got, c.want)
		}
	}
}

func FuzzParseWireGuard(f *testing.F) {
	f.Add("[Interface]\nAddress = 10.200.0.1/24\nPrivateKey = @{wg.vps.private}\n[Peer]\nPublicKey = @{wg.home.public}\nAllowedIPs = 10.200.0.2/32\n")
	f.Add("[Peer]\nEndpoint = [::1]:1\n[Peer\n= \nAllowedIPs = ,,\n")
	f.Fuzz(func(t *testing.T, content string) {
		w, problems := topology.ParseWireGuard("wg0.conf", strings.NewReader(content))
		lines := strings.Count(content, "\n") + 1
		for _, p := range problems {
			if p.Position.File != "wg0.conf" || p.Position.Line > lines || p.Text == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		for _, key := range []string{w.PrivateKey} {
			if key != "" && !strings.HasPrefix(key, "@{") {
				t.Errorf("a key is kept: %q", key)
			}
		}
		for _, a := range w.Addresses {
			if !a.Prefix.IsValid() {
				t.Errorf("an address that is none in line %d", a.At.Line)
			}
		}
	})
}
