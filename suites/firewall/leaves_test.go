package firewall_test

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// peers is where a program's file names whom it contacts.
var peers = map[string]struct {
	files []string
	key   string
}{
	"zabbix-agent": {[]string{"/etc/zabbix/zabbix_agent2.conf", "/etc/zabbix/zabbix_agentd.conf"}, "ServerActive"},
}

var _ = Describe("by which network programs leave", func() {
	for _, leave := range harness.Site().Promises.Leaves {
		It(leave.Text, func(ctx SpecContext) {
			harness.Promise("leaves")
			subject := leave.Program + " at " + leave.Node
			harness.Subject(subject)
			lab := harness.SharedLab(ctx)
			peer, at := configuredPeer(leave)
			iface := interfaceTo(ctx, lab, leave.Node, peer)
			over := networkOf(ctx, lab, leave.Node, iface)
			harness.Judged(1)
			if over == leave.Over {
				return
			}
			harness.Report(evidence.Finding{
				Promise: "leaves", Title: leave.Text, Flow: subject, Address: peer.String(),
				Expected: "leaves by " + leave.Over, Seen: fmt.Sprintf("leaves by %s (%s)", over, iface),
				Cause:  fmt.Sprintf("%s:%s names %s", leave.Node, at, peer),
				Change: fmt.Sprintf("name the peer's address on %s", leave.Over),
				Node:   leave.Node, At: leave.At,
			})
		}, SpecTimeout(time.Minute))
	}
})

// configuredPeer is the first address that the program's file names, and the
// file's line.
func configuredPeer(leave topology.Leave) (netip.Addr, string) {
	GinkgoHelper()
	known, ok := peers[leave.Program]
	if !ok {
		harness.CouldNotTest("%s: where %s is configured is not known", leave.At, leave.Program)
	}
	m, _ := harness.Site().Machine(leave.Node)
	for _, path := range known.files {
		if f, ok := m.File(path); ok {
			value, line := setting(f, known.key)
			host, _, _ := strings.Cut(strings.Split(value, ",")[0], ":")
			if addr, err := netip.ParseAddr(strings.TrimSpace(host)); err == nil {
				return addr, fmt.Sprintf("%s:%d", path, line)
			}
			harness.CouldNotTest("%s: %s=%q names no address", f.At, known.key, value)
		}
	}
	harness.CouldNotTest("%s has none of %s", leave.Node, strings.Join(known.files, ", "))
	return netip.Addr{}, ""
}

// setting is a value of a KEY=VALUE file and its line; the last one counts.
func setting(f topology.File, key string) (value string, line int) {
	GinkgoHelper()
	content := fileContent(f)
	lines := bufio.NewScanner(strings.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		k, v, found := strings.Cut(lines.Text(), "=")
		if found && strings.TrimSpace(k) == key {
			value, line = strings.TrimSpace(v), n
		}
	}
	return value, line
}

// interfaceTo asks the node's own routing table.
func interfaceTo(ctx context.Context, lab topology.Lab, node string, to netip.Addr) string {
	GinkgoHelper()
	r, err := onNode(lab, node).Run(ctx, topology.Command{Argv: []string{"ip", "-o", "route", "get", to.String()}})
	Expect(err).NotTo(HaveOccurred())
	fields := strings.Fields(string(r.Stdout))
	if i := slices.Index(fields, "dev"); i >= 0 && i+1 < len(fields) {
		return fields[i+1]
	}
	return "nowhere"
}

func networkOf(ctx context.Context, lab topology.Lab, node, iface string) string {
	GinkgoHelper()
	all, err := harness.Needs[topology.Interfaces](onNode(lab, node)).Interfaces(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, i := range all {
		if i.Name == iface && i.Network != "" {
			return i.Network
		}
	}
	return iface
}
