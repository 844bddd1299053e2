package netns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

// twoHouses has an outer network, a router with both families inside and one
// outside, and a node on the outer network itself.
const twoHouses = `site: two-houses
networks:
  lan: {ipv4: 10.0.0.0/24, ipv6: "fd00:1::/64"}
  attic: {ipv4: 10.0.1.0/24, ipv6: "fd00:2::/64"}
  internet: {ipv4: 0.0.0.0/0, ipv6: "2000::/3"}
nodes:
  inside: {role: server, on: {lan: [10.0.0.2, "fd00:1::2"]}}
  router: {role: router, on: {lan: [10.0.0.1, "fd00:1::1"], attic: [10.0.1.1, "fd00:2::1"], internet: 203.0.113.1}, nat: {udp-timeout: 30s}}
  outside: {role: server, on: {internet: [198.51.100.1, "2001:db8::1"]}}
promises:
  reach: [{inside -> outside over internet: [ping]}]
`

func load(t *testing.T, yaml string, files map[string]string) *topology.Site {
	t.Helper()
	dir := t.TempDir()
	files["site.yaml"] = yaml
	for path, content := range files {
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	site, err := topology.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func machineOf(t *testing.T, site *topology.Site, name string) *topology.Machine {
	t.Helper()
	m, ok := site.Machine(name)
	if !ok {
		t.Fatalf("no node %s", name)
	}
	return m
}

func describe(as []addressing) []string {
	var out []string
	for _, a := range as {
		for _, p := range a.Addresses {
			out = append(out, a.Interface+" "+p.String())
		}
		for _, r := range a.Routes {
			line := a.Interface + " route " + r.To.String()
			if r.Via.IsValid() {
				line += " via " + r.Via.String()
			}
			out = append(out, line)
		}
	}
	return out
}

func TestAddressesAndRoutes(t *testing.T) {
	g := NewWithT(t)
	site := load(t, twoHouses, map[string]string{})
	g.Expect(describe(addressings(site, machineOf(t, site, "inside")))).To(Equal([]string{
		"eth0 10.0.0.2/24", "eth0 fd00:1::2/64", "eth0 route 0.0.0.0/0 via 10.0.0.1", "eth0 route fd00:2::/64 via fd00:1::1",
	}), "IPv6 ends at the router, which has none outside")
	g.Expect(describe(addressings(site, machineOf(t, site, "router")))).To(Equal([]string{
		"eth0 10.0.0.1/24", "eth0 fd00:1::1/64", "eth1 10.0.1.1/24", "eth1 fd00:2::1/64", "eth2 203.0.113.1/32", "eth2 route 0.0.0.0/0",
	}))
	g.Expect(describe(addressings(site, machineOf(t, site, "outside")))).To(Equal([]string{
		"eth0 198.51.100.1/32", "eth0 2001:db8::1/128", "eth0 route 0.0.0.0/0", "eth0 route 2000::/3",
	}))
}

func TestOnlyTheRouterTranslates(t *testing.T) {
	g := NewWithT(t)
	site := load(t, twoHouses, map[string]string{})
	g.Expect(natScript(site, machineOf(t, site, "router"))).To(And(
		ContainSubstring(`oifname "eth2" masquerade`), ContainSubstring(`iifname "eth2" drop`), Not(ContainSubstring("OUTER"))))
	g.Expect(natScript(site, machineOf(t, site, "inside"))).To(BeEmpty())
}

func TestCablesAreTheSameEachTime(t *testing.T) {
	g := NewWithT(t)
	site := load(t, twoHouses, map[string]string{})
	one, two := cables(site, machineOf(t, site, "router")), cables(site, machineOf(t, site, "router"))
	g.Expect(one).To(Equal(two))
	g.Expect(one).To(HaveLen(3))
	g.Expect(one[0].MAC).NotTo(Equal(one[1].MAC))
	g.Expect(one[0].MAC).To(HavePrefix("02:"), "locally administered, unicast")
}

func TestWhoDialsBootsLast(t *testing.T) {
	g := NewWithT(t)
	site := load(t, twoHouses, map[string]string{
		"nodes/outside/etc/wireguard/wg0.conf": "[Interface]\nAddress = 10.9.0.1/24\nPrivateKey = @{wg.outside.private}\nListenPort = 51820\n[Peer]\nPublicKey = @{wg.inside.public}\nAllowedIPs = 10.9.0.2/32\n",
		"nodes/inside/etc/wireguard/wg0.conf":  "[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = @{wg.inside.private}\n[Peer]\nPublicKey = @{wg.outside.public}\nEndpoint = 198.51.100.1:51820\nAllowedIPs = 10.9.0.1/32\n",
	})
	g.Expect(dials(site, machineOf(t, site, "inside"))).To(BeTrue())
	g.Expect(dials(site, machineOf(t, site, "outside"))).To(BeFalse())
	g.Expect(cableNetworks(site)).To(Equal([]string{"lan", "attic", "internet"}), "a tunnel has no cable")
}

func TestEveryPlaceholderOfTheLoaderHasAValue(t *testing.T) {
	g := NewWithT(t)
	var told []string
	s := newSecrets(func(secret string) { told = append(told, secret) })
	value := func(name string) string {
		t.Helper()
		v, ok := s.value(name)
		g.Expect(ok).To(BeTrue(), name)
		g.Expect(v).NotTo(BeEmpty(), name)
		again, _ := s.value(name)
		g.Expect(again).To(Equal(v), name+" stays the same for the lab's life")
		return v
	}
	for _, name := range []string{
		"wg.vps.private", "wg.vps/wg1.private", "psk.a.b", "password.root@pam", "hash.root@pam", "ssh.a.private", "pbs.vps.fingerprint",
	} {
		value(name)
	}
	for _, secret := range []string{"wg.vps.private", "psk.a.b", "password.root@pam", "hash.root@pam", "ssh.a.private"} {
		g.Expect(told).To(ContainElement(value(secret)), "%s is told, so that the evidence can hide it", secret)
	}
	g.Expect(value("psk.b.a")).To(Equal(value("psk.a.b")))
	g.Expect(value("wg.vps.public")).NotTo(Equal(value("wg.vps/wg1.public")))
	g.Expect(value("hash.root@pam")).To(HavePrefix("$y$"))
	g.Expect(strings.Count(value("pbs.vps.fingerprint"), ":")).To(Equal(31))
	_, ok := s.value("nobody.makes.this")
	g.Expect(ok).To(BeFalse())
}
