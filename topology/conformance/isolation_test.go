package conformance_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("a lab and the machine it runs on", Serial, func() {
	It("has no way to the machine's own network", func(ctx SpecContext) {
		listener, err := net.Listen("tcp", ":0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(listener.Close)
		accepted := make(chan net.Addr, 100)
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				accepted <- c.RemoteAddr()
				_ = c.Close()
			}
		}()
		port := listener.Addr().(*net.TCPAddr).Port
		// The positive control: this listener can be reached from here.
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Close()).To(Succeed())
		Eventually(ctx, accepted).Should(Receive())

		lab := raise(ctx, house(nil))
		for _, m := range lab.Site().Nodes {
			for _, addr := range machineAddresses() {
				_, err := on(lab, m.Name).Dial(soon(ctx), "tcp", net.JoinHostPort(addr, fmt.Sprint(port)))
				Expect(err).To(HaveOccurred(), "%s reached %s of the machine", m.Name, addr)
			}
		}
		Expect(accepted).NotTo(Receive())
	}, SpecTimeout(time.Minute))

	It("leaves the machine's links, routes, firewall, sysctls and mounts as they were", func(ctx SpecContext) {
		before := machine()
		Expect(before["links"]).NotTo(BeEmpty())
		lab := raise(ctx, house(map[string]string{
			"a/etc/sysctl.d/10-forward.conf":                             "net.ipv4.ip_forward=1\nkernel.pid_max=12345\nvm.swappiness=3\n",
			"a/etc/nftables.conf":                                        "flush ruleset\ntable inet t { chain c { type filter hook input priority 0; policy drop; } }\n",
			"a/etc/systemd/system/sysinit.target.wants/nftables.service": "-> /usr/lib/systemd/system/nftables.service",
		}))
		sh(ctx, on(lab, "a"), "ip link add d0 type bridge; sysctl -w kernel.hostname=x net.ipv4.tcp_syncookies=0 vm.swappiness=1; mount -t tmpfs x /mnt; hostname other; date -s 2001-01-01; echo x > /dev/kmsg")
		during := machine()
		Expect(lab.Down(ctx)).To(Succeed())
		for what := range before {
			Expect(during[what]).To(Equal(before[what]), what+" while the lab is up")
			Expect(machine()[what]).To(Equal(before[what]), what+" afterwards")
		}
	}, SpecTimeout(time.Minute))

	It("does not meet another lab with the same addresses", func(ctx SpecContext) {
		one, two := raise(ctx, house(map[string]string{"b/etc/lab": "one"})), raise(ctx, house(map[string]string{"b/etc/lab": "two"}))
		for lab, name := range map[topology.Lab]string{one: "one", two: "two"} {
			l, err := on(lab, "b").(topology.Sockets).Listen(ctx, "tcp", ":5000")
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(l.Close)
			go func() {
				if c, err := l.Accept(); err == nil {
					_, _ = c.Write([]byte(name))
					_ = c.Close()
				}
			}()
			c, err := on(lab, "a").Dial(ctx, "tcp", "10.0.0.2:5000")
			Expect(err).NotTo(HaveOccurred())
			answer := make([]byte, 8)
			n, err := c.Read(answer)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(answer[:n])).To(Equal(name))
			Expect(c.Close()).To(Succeed())
			Expect(string(sh(ctx, on(lab, "b"), "cat /etc/lab").Stdout)).To(Equal(name))
		}
	}, SpecTimeout(time.Minute))
})

// machineAddresses are all addresses of this machine, and its way out.
func machineAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	Expect(err).NotTo(HaveOccurred())
	var out []string
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			out = append(out, ip.String())
		}
	}
	return append(out, "127.0.0.1", "::1")
}

// ownSysctls change by themselves.
var ownSysctls = regexp.MustCompile(`random/|entropy|/nr_|-state|-nr$|fs/(inode|dentry|file-)|pty/nr|ns_last_pid|nf_conntrack_count|usermodehelper|kstack|cad_pid|numa_|firmware_config|user/max_|sched_|/usr_`)

// machine is what a lab must not touch, by name.
func machine() map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for name, path := range map[string]string{
		"routes": "/proc/net/route", "IPv6 routes": "/proc/net/ipv6_route", "IPv6 addresses": "/proc/net/if_inet6", "mounts": "/proc/self/mountinfo",
	} {
		content, err := os.ReadFile(path)
		if !os.IsNotExist(err) {
			Expect(err).NotTo(HaveOccurred())
			out[name] = volatile.ReplaceAllString(string(content), "")
		}
	}
	links, err := filepath.Glob("/sys/class/net/*")
	Expect(err).NotTo(HaveOccurred())
	out["links"] = strings.Join(links, "\n")
	hostname, err := os.Hostname()
	Expect(err).NotTo(HaveOccurred())
	out["host name"] = hostname
	var values strings.Builder
	_ = filepath.WalkDir("/proc/sys", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !ownSysctls.MatchString(path) {
			if v, err := os.ReadFile(path); err == nil {
				fmt.Fprintf(&values, "%s=%s", path, v)
			}
		}
		return nil
	})
	out["sysctls"] = values.String()
	if nft, err := exec.LookPath("nft"); err == nil && os.Geteuid() == 0 {
		rules, err := exec.Command(nft, "list", "ruleset").Output()
		Expect(err).NotTo(HaveOccurred())
		out["firewall"] = string(rules)
	}
	tables, err := os.ReadFile("/proc/net/ip_tables_names")
	if err == nil {
		out["iptables"] = string(tables)
	}
	return out
}

// volatile are the counters in what is otherwise stable: reference and use
// counts of IPv6 routes.
var volatile = regexp.MustCompile(` [0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{8} +(eth|lo|en)`)
