package filter

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func events(t testing.TB, name string) []Event {
	t.Helper()
	var out []Event
	if err := ReadTrace(bytes.NewReader(read(t, name)), func(e Event) { out = append(out, e) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// to gives the events of the packets with this destination port that are not
// about the table which switches tracing on.
func to(all []Event, port uint16) []Event {
	var out []Event
	ids := map[string]bool{}
	for _, e := range all {
		if e.Kind == KindPacket && e.Packet.DestinationPort == port {
			ids[e.ID] = true
		}
		if ids[e.ID] && !Ours(e.Table) {
			out = append(out, e)
		}
	}
	return out
}

func TestTraceOfIptablesRules(t *testing.T) {
	ssh := to(events(t, "trace-iptables.txt"), 22)
	want := []Event{
		{Chain: "INPUT", Kind: KindRule, Handle: 7, Verdict: "jump SSH_CHECK",
			Text: "tcp dport 22 counter packets 4 bytes 240 jump SSH_CHECK"},
		{Chain: "SSH_CHECK", Kind: KindRule, Handle: 14, Verdict: "continue",
			Text: `xt match "recent" counter packets 4 bytes 240`},
		{Chain: "SSH_CHECK", Kind: KindRule, Handle: 15, Verdict: "drop",
			Text: `xt match "recent" counter packets 1 bytes 60 drop`},
	}
	if len(ssh) < 4 || ssh[0].Kind != KindPacket {
		t.Fatalf("got %+v", ssh)
	}
	p := ssh[0].Packet
	if p.In != "eth0" || p.Source != netip.MustParseAddr("10.1.0.2") || p.Flags != "syn" || p.SourcePort != 59314 {
		t.Errorf("packet %+v", p)
	}
	for i, w := range want {
		got := ssh[i+1]
		if got.Chain != w.Chain || got.Kind != w.Kind || got.Handle != w.Handle || got.Verdict != w.Verdict || got.Text != w.Text {
			t.Errorf("event %d: got %+v, want %+v", i+1, got, w)
		}
	}
	if last := ssh[3]; !last.Decides() || ssh[2].Decides() {
		t.Errorf("the drop decides and the jump does not: %+v", last)
	}
}

func TestTraceOfPolicyAndReject(t *testing.T) {
	all := events(t, "trace-iptables.txt")
	pbs := to(all, 8007)
	if i := slices.IndexFunc(pbs, Event.Decides); i < 0 || pbs[i].Text != "policy drop" || pbs[i].Verdict != "drop" {
		t.Errorf("8007: %+v", pbs)
	}
	reject := to(all, 99)
	if last := reject[len(reject)-1]; last.Verdict != "drop" || !strings.HasSuffix(last.Text, "reject with tcp reset") {
		t.Errorf("99: %+v", last)
	}
}

func TestTraceOfARuleThatIsNewerThanTheMonitor(t *testing.T) {
	late := to(events(t, "trace-inet.txt"), 77)
	if last := late[len(late)-1]; last.Handle != 19 || last.Text != "" || last.Verdict != "drop" {
		t.Errorf("got %+v", last)
	}
}

func TestTraceOfForwardedAndTranslated(t *testing.T) {
	through := to(events(t, "trace-forward.txt"), 8007)
	var chains []string
	for _, e := range through {
		if e.Kind == KindPacket && (e.Packet.In != "eth0" || e.Packet.Out != "eth1") {
			t.Errorf("interfaces of %+v", e.Packet)
		}
		chains = append(chains, e.Table+" "+e.Chain+" "+e.Verdict)
	}
	want := []string{"fw fward ", "fw fward accept", "nat post ", "nat post accept"}
	if !slices.Equal(chains, want) {
		t.Errorf("got %q, want %q", chains, want)
	}
}

func TestTraceOfEchoAndNeighbourDiscovery(t *testing.T) {
	self := netip.MustParseAddr("2001:db8:2::2")
	var echo, solicits, adverts int
	for _, name := range []string{"trace-inet.txt", "trace-iptables.txt"} {
		for _, e := range events(t, name) {
			if e.Kind != KindPacket || !Ours(e.Table) || e.Packet.In == "" {
				continue
			}
			switch e.Packet.Type {
			case "echo-request":
				echo++
				if e.Packet.EchoID == 0 {
					t.Errorf("%+v has no id", e.Packet)
				}
			case "nd-neighbor-solicit":
				solicits++
				if !e.Packet.Concerns(self) || e.Packet.Concerns(netip.MustParseAddr("2001:db8:2::3")) {
					t.Errorf("%+v concerns another address", e.Packet)
				}
			case "nd-neighbor-advert":
				adverts++
				if !e.Packet.Concerns(netip.MustParseAddr("2001:db8:2::1")) {
					t.Errorf("%+v", e.Packet)
				}
			}
		}
	}
	if echo == 0 || solicits == 0 || adverts == 0 {
		t.Errorf("echo %d, solicitations %d, advertisements %d", echo, solicits, adverts)
	}
}

func TestRuleset(t *testing.T) {
	rs, err := ParseRuleset(read(t, "ruleset-inet.txt"))
	if err != nil {
		t.Fatal(err)
	}
	input, ok := rs.Chain("inet", "filter", "input")
	if !ok || input.Policy != "drop" || input.Hook != "input" || len(input.Rules) != 8 {
		t.Fatalf("got %+v", input)
	}
	if at, ok := input.Find(11, ""); !ok || at != 4 {
		t.Errorf("handle 11 is rule %d", at)
	}
	if at, ok := input.Find(0, "ct state invalid drop"); !ok || at != 3 {
		t.Errorf("by text: %d", at)
	}
	if objects := rs.Tables[0].Objects; len(objects) != 1 || !strings.HasPrefix(objects[0], "set big { type ipv4_addr elements = { 1.1.1.1,") {
		t.Errorf("objects %q", objects)
	}
	if rs.Hooked("forward", "ip6") || !rs.Hooked("forward", "inet") {
		t.Error("hooks")
	}
	if _, err := ParseRuleset([]byte("hello\n")); err == nil {
		t.Error("nonsense is a ruleset")
	}
}

// folder serves a node's files from memory.
type folder map[string]string

func (f folder) Read(name string) ([]byte, error) {
	content, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(content), nil
}

func (f folder) Glob(pattern string) ([]string, error) {
	var out []string
	for name := range f {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func TestLocateInRulesV4(t *testing.T) {
	rs, err := ParseRuleset(read(t, "ruleset-iptables.txt"))
	if err != nil {
		t.Fatal(err)
	}
	rules := string(read(t, "rules.v4"))
	saved, err := ReadSaved(folder{RulesV4: rules, RulesV6: ""})
	if err != nil {
		t.Fatal(err)
	}
	if v6 := saved.File(RulesV6); !v6.Empty() || saved.File(RulesV4).Empty() || saved.File(Nftables).Exists {
		t.Errorf("files %+v", saved.Files)
	}
	check, _ := rs.Chain("ip", "filter", "SSH_CHECK")
	r, reason := saved.Locate(rs, Rule{Node: "vps", Family: "ip", Table: "filter", Chain: "SSH_CHECK", Handle: check.Rules[2].Handle})
	if r.String() != "vps:/etc/iptables/rules.v4:17" || r.Text != "-A SSH_CHECK -j ACCEPT" || reason != "" {
		t.Errorf("got %s (%s), %s", r, r.Text, reason)
	}
	r, reason = saved.Locate(rs, Rule{Node: "vps", Family: "ip", Table: "filter", Chain: "INPUT", Text: "policy drop"})
	if r.Line != 2 || r.Text != ":INPUT DROP [0:0]" || reason != "" {
		t.Errorf("got %s (%s), %s", r, r.Text, reason)
	}

	fewer := strings.Replace(rules, "-A INPUT -i lo -j ACCEPT\n", "", 1)
	saved, err = ReadSaved(folder{RulesV4: fewer})
	if err != nil {
		t.Fatal(err)
	}
	input, _ := rs.Chain("ip", "filter", "INPUT")
	r, reason = saved.Locate(rs, Rule{Family: "ip", Table: "filter", Chain: "INPUT", Handle: input.Rules[3].Handle})
	if r.Line != 0 || !strings.Contains(reason, "9 rules loaded and 8 in") {
		t.Errorf("a line was named although the counts differ: %s, %s", r, reason)
	}
	_, reason = saved.Locate(rs, Rule{Family: "ip6", Table: "filter", Chain: "INPUT", Text: "policy accept"})
	if reason == "" {
		t.Error("a chain that is not loaded has a place")
	}
}

func TestLinesOfNftablesConf(t *testing.T) {
	saved, err := ReadSaved(folder{
		Nftables:                   string(read(t, "nftables.conf")),
		"/etc/nftables.d/a.rules":  "# first\ntcp dport 90 drop\n",
		"/etc/nftables.d/b.rules":  "tcp dport 91 drop; tcp dport 92 drop\n",
		"/etc/nftables.d/c.ignore": "tcp dport 93 drop\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[chainKey][]string{
		{"inet", "filter", "input"}: {
			"nftables.conf:14 iif lo accept",
			"nftables.conf:15 ct state established,related accept",
			"nftables.conf:15 ct state invalid drop",
			`nftables.conf:16 ip saddr $admins tcp dport { 22, 8007 } accept comment "a # no; comment }"`,
			"nftables.conf:21 add @blocked { ip saddr }",
			"nftables.conf:22 tcp dport vmap { 80 : accept, 81 : drop }",
			"a.rules:2 tcp dport 90 drop",
			"b.rules:1 tcp dport 91 drop",
			"b.rules:1 tcp dport 92 drop",
			`nftables.conf:25 iifname "wg0" drop`,
		},
		{"inet", "filter", "forward"}: {
			"nftables.conf:36 counter",
			"nftables.conf:35 ip saddr { 10.0.0.1 } accept",
		},
		{"inet", "filter", "output"}: nil,
		{"ip", "nat", "post"}:        {`nftables.conf:34 oifname "eth1" masquerade`},
	} {
		c := saved.chains[name]
		if c == nil {
			t.Errorf("%v is not found", name)
			continue
		}
		var got []string
		for _, r := range c.rules {
			got = append(got, path.Base(r.file)+":"+strconv.Itoa(r.line)+" "+r.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v:\ngot  %q\nwant %q", name, got, want)
		}
	}
	if !saved.Filters("inet") || saved.Filters("ip", "ip6") {
		t.Error("the input chain is in the inet table and in no other")
	}
	if p := saved.chains[chainKey{"inet", "filter", "output"}].policy; p.line != 31 || p.text != "policy accept" {
		t.Errorf("policy of output: %+v", p)
	}
	if p := saved.chains[chainKey{"inet", "filter", "forward"}].policy; p.line != 28 {
		t.Errorf("policy of forward: %+v", p)
	}
}

func TestCompareRestore(t *testing.T) {
	loaded, saved := read(t, "iptables-save.txt"), read(t, "rules.v4")
	if d := CompareRestore(loaded, saved); len(d) != 0 {
		t.Errorf("the same rules differ: %v", d)
	}
	more := bytes.Replace(loaded, []byte("-A INPUT -i wg0 -j DROP\n"),
		[]byte("-A INPUT -i wg0 -j ACCEPT\n-A INPUT -i wg0 -j DROP\n"), 1)
	d := CompareRestore(more, saved)
	if len(d) != 1 || d[0].String() != "loaded and not saved: filter INPUT: -A INPUT -i wg0 -j ACCEPT" {
		t.Errorf("got %v", d)
	}
	if d := CompareRestore(loaded, nil); len(d) == 0 {
		t.Error("rules that are saved nowhere do not show")
	}
	swapped := []byte("*filter\n:INPUT DROP [0:0]\n-A INPUT -j B\n-A INPUT -j A\nCOMMIT\n")
	if d := CompareRestore([]byte("*filter\n:INPUT DROP [0:0]\n-A INPUT -j A\n-A INPUT -j B\nCOMMIT\n"), swapped); len(d) != 2 {
		t.Errorf("the order does not count: %v", d)
	}
	if d := CompareRestore([]byte("*filter\n:INPUT ACCEPT [1:2]\nCOMMIT\n"), nil); len(d) != 0 {
		t.Errorf("an idle chain counts: %v", d)
	}
}

func TestCompareRulesets(t *testing.T) {
	parse := func(listing []byte) Ruleset {
		t.Helper()
		rs, err := ParseRuleset(listing)
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	listing := read(t, "ruleset-inet.txt")
	withTrace := string(listing)
	without := withTrace[:strings.Index(withTrace, "table inet pbsdrill_trace")]
	if d := CompareRulesets(parse(listing), parse([]byte(strings.ReplaceAll(without, "packets 1 bytes 60", "packets 9 bytes 9")))); len(d) != 2 {
		// The nat and filter tables behind the trace are only in the first.
		for _, one := range d {
			if !strings.HasPrefix(one.Where, "ip nat") && !strings.HasPrefix(one.Where, "ip filter") && !strings.HasPrefix(one.Where, "ip6 filter") {
				t.Errorf("got %v", one)
			}
		}
	}
	d := CompareRulesets(parse([]byte(strings.Replace(without, "policy drop", "policy accept", 1))), parse([]byte(without)))
	if len(d) != 2 || !strings.Contains(d[0].String(), "policy accept") {
		t.Errorf("another policy: %v", d)
	}
}

func TestReadTraceGivesTheReadersError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("trace id 1 ip filter INPUT policy drop \n"), failing{})
	seen := 0
	if err := ReadTrace(broken, func(Event) { seen++ }); !errors.Is(err, io.ErrClosedPipe) || seen != 1 {
		t.Errorf("got %v after %d events", err, seen)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzParseEvent(f *testing.F) {
	for _, name := range []string{"trace-iptables.txt", "trace-inet.txt", "trace-forward.txt"} {
		for line := range strings.SplitSeq(string(read(f, name)), "\n") {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := ParseEvent(line)
		if ok && (e.ID == "" || e.Kind == "") {
			t.Errorf("%q gives %+v", line, e)
		}
	})
}

func FuzzParseRuleset(f *testing.F) {
	f.Add(read(f, "ruleset-inet.txt"))
	f.Add(read(f, "ruleset-iptables.txt"))
	f.Fuzz(func(t *testing.T, listing []byte) {
		rs, err := ParseRuleset(listing)
		if err == nil && len(CompareRulesets(rs, rs)) != 0 {
			t.Error("a ruleset differs from itself")
		}
	})
}

func FuzzNftables(f *testing.F) {
	f.Add(string(read(f, "nftables.conf")))
	f.Add("include \"/etc/nftables.conf\"\n")
	f.Fuzz(func(t *testing.T, conf string) {
		saved, err := ReadSaved(folder{Nftables: conf})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(conf, "\n") + 1
		for key, c := range saved.chains {
			for _, r := range c.rules {
				if r.line < 1 || r.line > lines {
					t.Errorf("%v: line %d of %d", key, r.line, lines)
				}
			}
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add(read(f, "rules.v4"))
	f.Add([]byte("*filter\n-I INPUT 3 -j DROP\n[1:2] -A INPUT -j X\n:\n-A\n"))
	f.Fuzz(func(t *testing.T, rules []byte) {
		if _, err := ReadSaved(folder{RulesV4: string(rules)}); err != nil {
			t.Fatal(err)
		}
		if d := CompareRestore(rules, rules); len(d) != 0 {
			t.Errorf("rules differ from themselves: %v", d)
		}
	})
}
