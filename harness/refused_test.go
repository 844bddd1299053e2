package harness

import (
	"testing"

	. "github.com/onsi/gomega"
)

// As netfilter-persistent of Debian 13 printed it, with exit code 0.
const refusedRules = `Error: IPv4 rules failed test load. New rules NOT loaded
run-parts: executing /usr/share/netfilter-persistent/plugins.d/15-ip4tables start
iptables-restore v1.8.11 (nf_tables): Couldn't load match ` + "`nosuch'" + `:No such file or directory

Error occurred at line: 20
Try ` + "`iptables-restore -h'" + ` or 'iptables-restore --help' for more information.
run-parts: executing /usr/share/netfilter-persistent/plugins.d/25-ip6tables start
`

func TestRulesThatWereNotLoadedAreNoLab(t *testing.T) {
	g := NewWithT(t)
	g.Expect(refused("vps", refusedRules)).To(MatchError(And(
		HavePrefix("vps: netfilter-persistent.service loaded no rules: "),
		ContainSubstring("Couldn't load match `nosuch'"), ContainSubstring("Error occurred at line: 20"))))
	g.Expect(refused("vps", "run-parts: executing /usr/share/netfilter-persistent/plugins.d/15-ip4tables start\n")).To(Succeed())
}
