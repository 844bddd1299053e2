package report

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

var began = time.Date(2026, 11, 22, 1, 30, 12, 0, time.UTC)

// sample is a synthetic run that has one of everything.
func sample(t *testing.T) string {
	t.Helper()
	s, err := evidence.Create(filepath.Join(t.TempDir(), "runs"), "homelab-vps", began)
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Update(func(r *evidence.Run) {
		r.About = "The homelab's PBS, pulled by a VPS over WireGuard."
		r.SiteDir, r.SiteHash = "fixtures/sites/homelab-vps", "sha256:9f86d081884c7d65"
		r.Seed, r.Repeat = 4711, "pbsdrill drill fixtures/sites/homelab-vps --seed=4711"
		r.Planned = 9
		r.Minimum = map[string]int{"firewall": 20, "tunnel": 5}
		r.Undecided = []string{"offsite", "restore"}
		r.Ended = began.Add(8200 * time.Millisecond)
		r.Waivers = []evidence.Waiver{{
			Promise: "reach", Flows: []string{"pve -> vps over wg0 ssh ipv4"}, Seen: "open", Cause: "the SSH rule precedes wg0's drop: vps:/etc/iptables/rules.v4:12",
			Because: "as published", Until: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC), At: topology.Position{File: "site.yaml", Line: 61, Column: 5},
		}, {
			Promise: "persist", Flows: []string{"vps"}, Seen: "differs", Cause: "x", Because: "for a while", Until: began.AddDate(0, 0, -9), At: topology.Position{File: "site.yaml", Line: 62, Column: 5},
		}}
		r.Facts = topology.Facts{
			Driver: "netns", Boot: "interpreted", WireGuard: "userspace", RootFS: "debian 13, sha256:1f3a", Kernel: "6.18.0",
			Tools: map[string]string{"nft": "1.1.3", "iptables": "1.8.11", "wg": "1.0.20210914"}, Ignored: []string{"networks.internet.round-trip: 97ms"},
			Weaker: []string{"no sub-uid range: the nodes' root file system is this machine's own /usr"},
		}
	}))
	for i, spec := range specs() {
		spec.Suite, spec.Promise = "firewall", "reach"
		spec.Started = began.Add(time.Duration(i) * 700 * time.Millisecond)
		spec.Took = time.Duration(300+i*211) * time.Millisecond
		f, err := s.Begin(spec)
		must(t, err)
		if spec.State == evidence.Failed || spec.State == evidence.Waived {
			must(t, errors.Join(f.Add("rules", []byte("table ip6 filter {}\n")), f.Flow(spec.Rows)))
		}
		must(t, f.End(spec))
	}
	must(t, s.Close())
	return s.Dir()
}

func specs() []evidence.Spec {
	v6 := evidence.Finding{
		Promise: "reach", Title: "only ssh, wireguard and ping reach vps from outside", Flow: "stranger -> vps over internet pbs ipv6",
		Address: "[2001:db8:20::1]:8007", Expected: "dropped", Seen: "open", Detail: "PBS 4.2, TLS 8a:12:bd:1b…",
		Cause: "no IPv6 filter exists: vps:/etc/iptables/rules.v6 is empty", Change: "give rules.v6 the same rules as rules.v4 (`:INPUT DROP`, …)",
		Node: "vps", At: topology.Position{File: "site.yaml", Line: 31, Column: 7},
	}
	http := v6
	http.Flow, http.Address = "stranger -> vps over internet http ipv6", "[2001:db8:20::1]:80"
	stepping := evidence.Finding{
		Promise: "reach", Title: "the tunnel is no stepping stone", Flow: "pve -> vps over wg0 ssh ipv4", Address: "10.200.0.2:22", Expected: "dropped", Seen: "open",
		Detail: "SSH-2.0-OpenSSH_10.0", Cause: "the SSH rule precedes wg0's drop: vps:/etc/iptables/rules.v4:12", Node: "vps", At: topology.Position{File: "site.yaml", Line: 31},
	}
	return []evidence.Spec{
		{Name: "the matrix: stranger reaches no more than is promised", State: evidence.Failed, Reason: "2 flows are not as promised", Judged: 44, Findings: []evidence.Finding{v6, http}, Rows: rows("stranger", "vps")},
		{Name: "the matrix: pve reaches no more than is promised", State: evidence.Waived, Judged: 44, Findings: []evidence.Finding{stepping}, Rows: rows("pve", "vps")},
		{Name: "lets the VPS pull from the house", State: evidence.Held, Judged: 22, Rows: rows("vps", "pbs-local")},
		{Name: "a running <session> & its \"rules\" survive", State: evidence.Held, Judged: 1},
		{Name: "root may not log in by password", State: evidence.Failed, Reason: "sshd on vps asked for a password\nalthough it should not"},
		{Name: "ssh passes four times a minute", State: evidence.CouldNotTest, Reason: "xt_recent is not in this kernel"},
		{Name: "the tunnel survives a reboot", State: evidence.Skipped, Reason: "the driver cannot reboot a node"},
		{Name: "recovers after a silent minute", State: evidence.Skipped, Reason: evidence.FilteredOut},
		{Name: "loaded rules are the saved rules", State: evidence.Interrupted, Reason: "interrupted by the user"},
	}
}

func rows(from, to string) []evidence.Row {
	var all []evidence.Row
	for _, over := range []string{"internet", "wg0"} {
		for _, family := range []string{"ipv4", "ipv6"} {
			if over == "wg0" && family == "ipv6" {
				continue
			}
			for i, service := range []string{"ssh", "pbs", "wireguard", "ping", "dns", "http", "https", "zabbix", "zabbix-agent", "pve", "nfs"} {
				all = append(all, judge(from, to, over, family, service, i))
			}
		}
	}
	return all
}

func judge(from, to, over, family, service string, i int) evidence.Row {
	r := evidence.Row{
		From: from, To: to, Over: over, Family: family, Service: service, Address: "198.51.100.20", Want: "dropped", Saw: "dropped", Met: true,
		Why: "SYN arrived on " + to + " eth0, no answer", Rule: fmt.Sprintf("%s:/etc/iptables/rules.v4:%d", to, 10+i), RuleText: "-A INPUT -j DROP",
	}
	switch {
	case over == "internet" && i < 4 && i != 1:
		r.Want, r.Saw = "open", "open"
	case from == "stranger" && family == "ipv6" && (service == "pbs" || service == "http"):
		r.Saw, r.Met, r.Why, r.Rule = "open", false, "PBS answered", ""
	case from == "pve" && over == "wg0" && service == "ssh":
		r.Saw, r.Met, r.Waived = "open", false, true
	case from == "pve" && service == "nfs":
		r.Want, r.Saw = "closed", "refused"
	case from == "vps" && service == "dns":
		r.Saw, r.Met = "unknown", false
	case from == "vps" && service == "https":
		r.Want, r.Saw = "closed", "unreachable"
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
