package conformance_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

const (
	wantsNftables  = "/etc/systemd/system/sysinit.target.wants/nftables.service"
	wantsIptables  = "/etc/systemd/system/multi-user.target.wants/netfilter-persistent.service"
	wantsSSH       = "/etc/systemd/system/multi-user.target.wants/ssh.service"
	wantsTunnel    = "/etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service"
	nftables       = "-> /usr/lib/systemd/system/nftables.service"
	netfilter      = "-> /usr/lib/systemd/system/netfilter-persistent.service"
	ssh            = "-> /usr/lib/systemd/system/ssh.service"
	tunnelTemplate = "-> /usr/lib/systemd/system/wg-quick@.service"
)

const server = `[Interface]
Address = 10.9.0.1/24
PrivateKey = @{wg.a.private}
ListenPort = 51820
[Peer]
PublicKey = @{wg.b.public}
AllowedIPs = 10.9.0.2/32
`

const dialler = `[Interface]
Address = 10.9.0.2/24
PrivateKey = @{wg.b.private}
[Peer]
PublicKey = @{wg.a.public}
Endpoint = 10.0.0.1:51820
AllowedIPs = 10.9.0.1/32
PersistentKeepalive = 10
`

var _ = Describe("a node boots", func() {
	It("nothing that the site does not enable", func(ctx SpecContext) {
		a := on(raise(ctx, house(nil)), "a")
		Expect(string(sh(ctx, a, "ss -Htuln; nft list ruleset; find /etc/systemd/system -path '*.wants/*'").Stdout)).To(BeEmpty())
	}, SpecTimeout(time.Minute))

	It("its filter, its tunnel and its SSH server, with the hosts' own tools", func(ctx SpecContext) {
		lab := raise(ctx, house(map[string]string{
			"a" + wantsIptables: netfilter, "a/etc/iptables/rules.v4": "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 99 -j DROP\nCOMMIT\n",
			"a/etc/iptables/rules.v6": "", "a" + wantsTunnel: tunnelTemplate, "a/etc/wireguard/wg0.conf": server, "a" + wantsSSH: ssh,
			"b" + wantsNftables: nftables, "b/etc/nftables.conf": "flush ruleset\ntable inet mine { }\n",
			"b" + wantsTunnel: tunnelTemplate, "b/etc/wireguard/wg0.conf": dialler,
		}))
		a, b := on(lab, "a"), on(lab, "b")
		for _, n := range []topology.Node{a, b} {
			Expect(n.(topology.Booted).Units(ctx)).To(Not(ContainElement(HaveField("State", "failed"))))
		}
		Expect(string(sh(ctx, a, "iptables-save").Stdout)).To(ContainSubstring("--dport 99 -j DROP"))
		Expect(string(sh(ctx, b, "nft list tables").Stdout)).To(Equal("table inet mine\n"))
		Eventually(ctx, func(ctx context.Context) string {
			return strings.Fields(string(sh(ctx, b, "wg show wg0 latest-handshakes").Stdout))[1]
		}).ShouldNot(Equal("0"))
		Expect(sh(ctx, a, "ping -c1 -W2 10.9.0.2").Exit).To(BeZero())
		banner := make([]byte, 8)
		c, err := b.Dial(ctx, "tcp", "10.0.0.1:22")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(c.Close)
		Expect(c.Read(banner)).To(Equal(8))
		Expect(string(banner)).To(Equal("SSH-2.0-"))
	}, SpecTimeout(time.Minute))

	It("keeps the router's translation although its own rules begin with flush ruleset", func(ctx SpecContext) {
		lab := raise(ctx, house(map[string]string{
			"router" + wantsNftables: nftables, "router/etc/nftables.conf": "flush ruleset\ntable inet own { }\n",
		}))
		Expect(sh(ctx, on(lab, "a"), "ping -c1 -W2 198.51.100.1").Exit).To(BeZero())
		Expect(string(sh(ctx, on(lab, "router"), "nft list tables").Stdout)).To(ContainSubstring("table inet own"))
	}, SpecTimeout(time.Minute))

	DescribeTable("and says what was wrong, in the tool's own words", func(ctx SpecContext, files map[string]string, unit, state string, says ...string) {
		lab := raise(ctx, house(files))
		states, err := on(lab, "a").(topology.Booted).Units(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(states).To(ContainElement(And(HaveField("Name", unit), HaveField("State", state))), "%v", states)
		journal, err := on(lab, "a").(topology.Booted).Journal(ctx, unit)
		Expect(err).NotTo(HaveOccurred())
		for _, s := range says {
			Expect(string(journal)).To(ContainSubstring(s))
		}
	},
		Entry("a syntax error in nftables.conf",
			map[string]string{"a" + wantsNftables: nftables, "a/etc/nftables.conf": "flush ruleset\ntable inet t {\n  chain c { tcp dprt 22 accept; }\n}\n"},
			"nftables.service", "failed", "/etc/nftables.conf:3", "syntax error", SpecTimeout(time.Minute)),
		// netfilter-persistent itself says that all is well: its plugins' errors
		// do not reach its exit code. What was not loaded is the suite's to find.
		Entry("an xt module that does not exist",
			map[string]string{"a" + wantsIptables: netfilter, "a/etc/iptables/rules.v4": "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m nosuch --x -j DROP\nCOMMIT\n"},
			"netfilter-persistent.service", "active", "nosuch", SpecTimeout(time.Minute)),
		Entry("a unit that never becomes ready",
			map[string]string{
				"a/etc/systemd/system/never.service":                         "[Service]\nType=notify\nTimeoutStartSec=300ms\nExecStart=/bin/sh -c 'echo waiting; exec sleep 600'\n",
				"a/etc/systemd/system/multi-user.target.wants/never.service": "-> ../never.service",
			}, "never.service", "failed", "waiting", SpecTimeout(time.Minute)),
	)

	It("not at all when a unit asks for what cannot be honoured", func(ctx SpecContext) {
		_, err := netns.Up(ctx, house(map[string]string{
			"a/etc/systemd/system/jail.service":                         "[Service]\nRootDirectory=/srv/jail\nExecStart=/bin/true\n",
			"a/etc/systemd/system/multi-user.target.wants/jail.service": "-> ../jail.service",
		}), netns.Options{})
		Expect(err).To(MatchError(And(ContainSubstring("/etc/systemd/system/jail.service:2"), ContainSubstring("RootDirectory="))))
	}, SpecTimeout(time.Minute))

	It("says so when the lab's disk is full", func(ctx SpecContext) {
		_, err := netns.Up(ctx, house(map[string]string{"a/etc/large": strings.Repeat("x", 200<<10)}), netns.Options{Disk: "100k"})
		Expect(err).To(MatchError(ContainSubstring("no space left on device")))
	}, SpecTimeout(time.Minute))
})
