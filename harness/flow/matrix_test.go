package flow

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pbsdrill/pbsdrill/topology"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

var (
	ssh  = topology.Service{Name: "ssh", Protocol: "tcp", Port: 22}
	pbs  = topology.Service{Name: "pbs", Protocol: "tcp", Port: 8007}
	ping = topology.Service{Name: "ping", Protocol: "icmp"}
)

// house is a router with two nodes behind it and two outside, one tunnel.
func house() *topology.Site {
	return &topology.Site{
		Name: "house",
		Networks: []*topology.Network{
			{Name: "lan", IPv4: netip.MustParsePrefix("192.168.100.0/24"), IPv6: netip.MustParsePrefix("fd00:100::/64")},
			{Name: "internet", IPv4: netip.MustParsePrefix("0.0.0.0/0"), IPv6: netip.MustParsePrefix("2000::/3")},
			{Name: "wg0", IPv4: netip.MustParsePrefix("10.200.0.0/24"), Tunnel: true},
		},
		Nodes: []*topology.Machine{
			{Name: "pve", On: []topology.Attachment{{Network: "lan", Addresses: addrs("192.168.100.10", "fd00:100::10")}}},
			{Name: "pbs-local", On: []topology.Attachment{
				{Network: "lan", Addresses: addrs("192.168.100.40", "fd00:100::40")},
				{Network: "wg0", Addresses: addrs("10.200.0.2")}}},
			{Name: "router", Role: topology.RoleRouter, NAT: &topology.NAT{}, On: []topology.Attachment{
				{Network: "lan", Addresses: addrs("192.168.100.1")},
				{Network: "internet", Addresses: addrs("203.0.113.7")}}},
			{Name: "vps", On: []topology.Attachment{
				{Network: "internet", Addresses: addrs("198.51.100.20", "2001:db8:20::1")},
				{Network: "wg0", Addresses: addrs("10.200.0.1")}}},
			{Name: "stranger", On: []topology.Attachment{{Network: "internet", Addresses: addrs("198.51.100.66", "2001:db8:66::1")}}},
		},
		Services: []topology.Service{ssh, pbs, ping},
		Promises: topology.Promises{
			Reach: []topology.Reach{
				{From: []string{"vps"}, To: []string{"pbs-local"}, Over: "wg0", Services: []string{"pbs", "ping"}, At: topology.Position{File: "site.yaml", Line: 10}},
				{From: []string{"pve", "pbs-local", "router", "stranger"}, To: []string{"vps"}, Over: "internet", Services: []string{"ssh", "ping"}, At: topology.Position{File: "site.yaml", Line: 11}},
			},
			Silent: []string{"vps"},
			Limits: []topology.Limit{{Node: "vps", Service: "ssh", Passes: 3}},
		},
	}
}

func TestMatrixIsEveryPairAddressAndService(t *testing.T) {
	site := house()
	rows := Matrix(site)
	seen := map[string]Row{}
	for _, r := range rows {
		if r.Flow.From == r.Flow.To {
			t.Errorf("%s asks itself", r.Flow)
		}
		if _, twice := seen[r.Flow.String()]; twice {
			t.Errorf("%s is there twice", r.Flow)
		}
		seen[r.Flow.String()] = r
	}
	for text, want := range map[string]Want{
		"vps -> pbs-local over wg0 pbs ipv4":                WantOpen,
		"vps -> pbs-local over wg0 ssh ipv4":                WantClosed,
		"vps -> pbs-local over lan pbs ipv4":                WantClosed,
		"stranger -> pbs-local over wg0 pbs ipv4":           WantClosed,
		"stranger -> vps over internet ssh ipv4":            WantOpen,
		"stranger -> vps over internet ssh ipv6":            WantOpen,
		"stranger -> vps over internet ssh ipv6 link-local": WantOpen,
		"stranger -> vps over internet pbs ipv6":            WantSilent,
		"pve -> vps over internet ssh ipv4":                 WantOpen,
		"pve -> vps over internet ssh ipv6":                 WantSilent, // the router has no IPv6 outside
		"pbs-local -> vps over wg0 ssh ipv4":                WantSilent,
		"vps -> stranger over internet pbs ipv4":            WantClosed,
		"pve -> pbs-local over lan ssh ipv6 link-local":     WantClosed,
	} {
		r, ok := seen[text]
		if !ok {
			t.Errorf("%s is not in the matrix", text)
		} else if r.Want != want {
			t.Errorf("%s: want %s, got %s", text, want, r.Want)
		}
	}
	for text := range seen {
		if strings.Contains(text, "over wg0") && strings.Contains(text, "link-local") || strings.HasPrefix(text, "pve -> vps over internet ssh ipv6 link") {
			t.Errorf("%s cannot be asked", text)
		}
	}
	if again := Matrix(site); !slices.Equal(rows, again) {
		t.Error("two matrices of one site differ")
	}
}

func TestComplementSaysWhereToLook(t *testing.T) {
	site := house()
	for _, r := range Matrix(site) {
		if r.At.Line != 10 && r.Want != WantOpen {
			t.Errorf("%s points at %s", r.Flow, r.At)
		}
	}
}

func TestIdleLines(t *testing.T) {
	site := house()
	if idle := Idle(site); len(idle) != 0 {
		t.Errorf("got %v", idle)
	}
	site.Promises.Reach = append(site.Promises.Reach, topology.Reach{Text: "pve -> vps over wg0: pbs",
		From: []string{"pve"}, To: []string{"vps"}, Over: "wg0", Services: []string{"pbs"}})
	if idle := Idle(site); len(idle) != 1 || idle[0].Text != "pve -> vps over wg0: pbs" {
		t.Errorf("pve has no way into the tunnel, and nobody says so: %v", idle)
	}
}

func TestBatchesStayBelowLimits(t *testing.T) {
	site := house()
	rows := Matrix(site)
	batches := Batches(rows, site)
	total := 0
	for i, batch := range batches {
		counts := map[string]int{}
		for _, r := range batch {
			total++
			if r.Flow.To == "vps" && r.Flow.Service == ssh {
				counts[fmt.Sprint(sourceAddress(site, r.Flow))]++
			}
		}
		for source, n := range counts {
			if n > 2 {
				t.Errorf("batch %d makes %d attempts from %s", i, n, source)
			}
		}
	}
	if total != len(rows) {
		t.Errorf("%d rows became %d", len(rows), total)
	}
	// pve, pbs-local and router over the internet, pve and router to the
	// tunnel's address: five attempts from 203.0.113.7, two at a time.
	if len(batches) != 3 {
		t.Errorf("%d batches", len(batches))
	}
	site.Promises.Limits = nil
	if one := Batches(rows, site); len(one) != 1 || !slices.Equal(one[0], rows) {
		t.Error("without limits there is one batch")
	}
}
