package conformance_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

func TestConformance(t *testing.T) {
	if !underGinkgo() {
		t.Skip("drivers are tested through ginkgo: make e2e")
	}
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(10 * time.Second)
	RunSpecs(t, "conformance")
}

// underGinkgo says whether the ginkgo command runs this binary: it always
// passes a seed.
func underGinkgo() bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "ginkgo.seed" })
	return given
}

// house is a small site: two nodes on one network, one on another, and a
// router between. Files are added to it by path, such as a/etc/motd.
func house(files map[string]string) *topology.Site {
	GinkgoHelper()
	const yaml = `site: house
networks:
  lan:  {ipv4: 10.0.0.0/24, ipv6: "fd00:1::/64"}
  attic: {ipv4: 10.0.1.0/24, ipv6: "fd00:2::/64"}
  internet: {ipv4: 0.0.0.0/0, ipv6: "2000::/3"}
nodes:
  a: {role: server, on: {lan: [10.0.0.1, "fd00:1::1"]}}
  b: {role: server, on: {lan: [10.0.0.2, "fd00:1::2"]}}
  c: {role: client, on: {attic: 10.0.1.3}}
  router: {role: router, on: {lan: 10.0.0.254, attic: 10.0.1.254, internet: 203.0.113.1}, nat: {udp-timeout: 30s}}
  outside: {role: client, on: {internet: [198.51.100.1, "2001:db8::1"]}}
promises:
  reach:
    - a -> b: [ping]
`
	dir := GinkgoT().TempDir()
	write(dir, "site.yaml", yaml)
	for path, content := range files {
		write(dir, filepath.Join("nodes", path), content)
	}
	site, err := topology.Load(dir)
	Expect(err).NotTo(HaveOccurred())
	return site
}

// write writes a file, or a link when the content begins with an arrow.
func write(dir, path, content string) {
	GinkgoHelper()
	to := filepath.Join(dir, path)
	Expect(os.MkdirAll(filepath.Dir(to), 0o755)).To(Succeed())
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		Expect(os.Symlink(target, to)).To(Succeed())
		return
	}
	Expect(os.WriteFile(to, []byte(content), 0o600)).To(Succeed())
}

// raise brings a site up for one spec.
func raise(ctx context.Context, site *topology.Site) *netns.Lab {
	GinkgoHelper()
	lab, err := netns.Up(ctx, site, netns.Options{Mark: "conformance"})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) error { return lab.Down(ctx) }, NodeTimeout(20*time.Second))
	return lab
}

func on(lab topology.Lab, name string) topology.Node {
	GinkgoHelper()
	n, err := lab.Node(name)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// sh runs a shell line on a node.
func sh(ctx context.Context, n topology.Node, line string) topology.Result {
	GinkgoHelper()
	r, err := n.Run(ctx, topology.Command{Argv: []string{"sh", "-c", line}})
	Expect(err).NotTo(HaveOccurred())
	return r
}
