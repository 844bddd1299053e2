package flow

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// withFiles gives a node of the house files, as a loaded site would.
func withFiles(t *testing.T, site *topology.Site, node string, files map[string]string) {
	t.Helper()
	m, ok := site.Machine(node)
	if !ok {
		t.Fatalf("no node %s", node)
	}
	dir := t.TempDir()
	for path, content := range files {
		source := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(source, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, topology.File{Path: path, Source: source})
	}
}

func TestExplain(t *testing.T) {
	const rulesV4 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
	toVPS := Flow{From: "stranger", To: "vps", Over: "internet", Family: IPv6, Service: pbs}
	overWG := Flow{From: "stranger", To: "vps", Over: "wg0", Family: IPv4, Service: ssh}
	toLocal := Flow{From: "pve", To: "pbs-local", Over: "lan", Family: IPv6, Service: ssh}
	accept := &filter.Rule{Node: "vps", File: "/etc/iptables/rules.v4", Line: 9, Text: "-A SSH_CHECK -j ACCEPT", Verdict: "accept", Handle: 3}
	policy := &filter.Rule{Node: "pbs-local", File: "/etc/nftables.conf", Line: 5, Text: "policy drop", Verdict: "drop"}
	for name, c := range map[string]struct {
		files  map[string]string
		probe  Probe
		want   Want
		cause  string
		change string
	}{
		"an empty file": {map[string]string{filter.RulesV4: rulesV4, filter.RulesV6: ""},
			Probe{Flow: toVPS, Saw: Open}, WantSilent,
			"vps:/etc/iptables/rules.v6 is empty", "give rules.v6 the same rules as rules.v4"},
		"a missing file": {map[string]string{filter.RulesV4: rulesV4},
			Probe{Flow: toVPS, Saw: Open}, WantSilent,
			"vps:/etc/iptables/rules.v6 does not exist", "give rules.v6"},
		"a table of one family": {map[string]string{filter.Nftables: "table ip filter {\nchain input {\ntype filter hook input priority 0; policy drop;\n}\n}\n"},
			Probe{Flow: toVPS, Saw: Open}, WantClosed,
			"vps:/etc/nftables.conf has no input chain for IPv6", "inet"},
		"no filter at all": {nil, Probe{Flow: toVPS, Saw: Open}, WantClosed, "vps has no packet filter for IPv6", "give it one"},
		"a rule that accepts": {nil, Probe{Flow: toVPS, Saw: Open, Rule: accept}, WantClosed,
			"vps:/etc/iptables/rules.v4:9 (-A SSH_CHECK -j ACCEPT) accepts it", "narrow that rule"},
		"the tunnel's address from outside": {nil, Probe{Flow: overWG, Saw: Open, Rule: accept}, WantSilent,
			"vps:/etc/iptables/rules.v4:9 (-A SSH_CHECK -j ACCEPT) accepts it", "10.200.0.0/24 and did not come in by wg0"},
		"neighbour discovery": {nil, Probe{Flow: toLocal, Saw: Unreachable, Rule: policy, discovery: true}, WantOpen,
			"pbs-local:/etc/nftables.conf:5 (policy drop): no rule accepts neighbour discovery, so IPv6 is dead there", "nd-neighbor-solicit"},
		"a policy that drops": {nil, Probe{Flow: toLocal, Saw: Dropped, Rule: policy}, WantOpen,
			"pbs-local:/etc/nftables.conf:5 (policy drop): no rule accepts it", "accepts tcp port 22 from pve"},
		"nothing known": {nil, Probe{Flow: toLocal, Saw: Unreachable, Why: "pve has no route"}, WantOpen, "pve has no route", ""},
		"another service": {nil, Probe{Flow: toVPS, Saw: WrongService, Identity: "a web server"}, WantOpen,
			"pbs is not what should be there: a web server", "right service"},
		"unknown": {nil, Probe{Flow: toVPS, Saw: Unknown, Why: "blind"}, WantOpen, "blind", ""},
	} {
		t.Run(name, func(t *testing.T) {
			site := house()
			withFiles(t, site, "vps", c.files)
			cause, change := Explain(site, c.probe, Row{Flow: c.probe.Flow, Want: c.want})
			if cause != c.cause || !strings.Contains(change, c.change) {
				t.Errorf("got %q, %q", cause, change)
			}
		})
	}
}

func TestParseTunnels(t *testing.T) {
	ends := parseTunnels("vps", []byte("wg0\tOWN=\nwg1\tOTHER=\nwg0\tAAAA=\t10.200.0.2/32 fd00::2/128\nwg0\tBBBB=\t10.200.0.0/24\nwg1\tCCCC=\t(none)\n\n"))
	wg0 := ends[place{"vps", "wg0"}]
	if wg0.key != "OWN=" || len(wg0.peers) != 2 {
		t.Errorf("wg0: %+v", wg0)
	}
	for address, want := range map[string]string{"10.200.0.2": "AAAA=", "10.200.0.3": "BBBB=", "fd00::2": "AAAA="} {
		if peer, ok := wg0.peerFor(netip.MustParseAddr(address)); !ok || peer != want {
			t.Errorf("%s goes to %q", address, peer)
		}
	}
	wg1, known := ends[place{"vps", "wg1"}]
	if _, ok := wg1.peerFor(netip.MustParseAddr("10.200.0.2")); !known || ok {
		t.Errorf("a tunnel whose peers have no address is still a tunnel: %+v, %t", wg1, known)
	}
}
