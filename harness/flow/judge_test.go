package flow

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// The story of a packet from a by router to b, told place by place.
var (
	left      = sighting{node: "a", iface: "eth0", stage: onWireOut, source: netip.MustParseAddr("10.1.0.2")}
	prepared  = sighting{node: "a", stage: passedOn}
	passing   = sighting{node: "router", iface: "eth0", stage: onWireIn}
	passed    = sighting{node: "router", stage: passedOn}
	forwarded = sighting{node: "router", iface: "eth1", stage: onWireOut}
	arrived   = sighting{node: "b", iface: "eth0", stage: onWireIn}
	inside    = sighting{node: "b", iface: "eth0", stage: entered}
	let       = sighting{node: "b", stage: delivered}
	replied   = sighting{node: "b", iface: "eth0", stage: onWireOut, answer: true}
	reset     = sighting{node: "b", iface: "eth0", stage: onWireOut, answer: true, reset: true}
	rejected  = sighting{node: "router", iface: "eth0", stage: onWireOut, answer: true, reset: true, prohibits: true}
)

func ruledBy(node, text, verdict string) ruling {
	return ruling{node: node, decides: true, rule: filter.Rule{Node: node, Family: "inet", Table: "filter", Chain: "input", Handle: 7, Text: text, Verdict: verdict}}
}

func answerDropped(node string) ruling {
	r := ruledBy(node, "drop", "drop")
	r.answer = true
	return r
}

// observed is an attempt that is over, from a node that can send, to a port
// where the harness listens. Changes make each case.
func observed(service topology.Service, change func(*observation)) observation {
	o := observation{
		flow:    Flow{From: "a", To: "b", Over: "lan", Family: IPv4, Address: netip.MustParseAddr("10.2.0.2"), Service: service},
		age:     patience,
		expired: true, left: true, listener: listenerOurs,
	}
	change(&o)
	return o
}

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

var dns = topology.Service{Name: "dns", Protocol: "udp", Port: 53}

func TestJudge(t *testing.T) {
	target := netip.MustParseAddr("10.2.0.2")
	right := identity{checked: true, right: true, text: "the harness's listener"}
	for name, c := range map[string]struct {
		service topology.Service
		seen    func(*observation)
		want    Verdict
		why     string
	}{
		"an answer of the right service": {ssh, func(o *observation) {
			o.outcome, o.identity = answered, right
			o.packets = []sighting{left, arrived, inside, let, replied}
		}, Open, "answered"},
		"an answer that is not checked": {pbs, func(o *observation) {
			o.outcome, o.identity = answered, identity{text: "a service of b"}
		}, Open, "identity not checked"},
		"an answer of another service": {ssh, func(o *observation) {
			o.outcome, o.identity = answered, identity{checked: true, text: "SSH of somebody else"}
		}, WrongService, "not what should be there"},
		"an answer that can't be compared": {pbs, func(o *observation) {
			o.outcome, o.identity = answered, identity{checked: true, right: true, doubt: "no certificate"}
		}, Unknown, "no certificate"},

		"a traced drop": {ssh, func(o *observation) {
			o.packets, o.rulings = []sighting{left, arrived, inside}, []ruling{ruledBy("b", "tcp dport 22 drop", "drop")}
		}, Dropped, "SYN arrived at b, no answer"},
		"an arrival without answer or rule": {ssh, func(o *observation) {
			o.packets = []sighting{left, arrived}
		}, Dropped, "vanished before its filter"},
		"an arrival that the trace could not have shown": {ssh, func(o *observation) {
			o.packets, o.blind = []sighting{left, arrived}, map[string]string{"b": "the control packet was not seen"}
		}, Unknown, "control packet"},
		"nothing at all": {ssh, func(*observation) {}, Unknown, "no packet was seen"},
		"a packet that got lost": {ssh, func(o *observation) {
			o.packets = []sighting{left}
		}, Unknown, "not seen again"},
		"a packet that passed and got no answer": {ssh, func(o *observation) {
			o.packets = []sighting{left, arrived, inside, let}
		}, Unknown, "nothing answered"},
		"an answer that got lost": {ssh, func(o *observation) {
			o.packets = []sighting{left, arrived, inside, let, replied}
		}, Unknown, "the answer did not arrive"},
		"an answer dropped by the source": {ssh, func(o *observation) {
			o.packets, o.rulings = []sighting{left, arrived, let, replied}, []ruling{answerDropped("a")}
		}, Unknown, "a dropped the answer"},
		"an answer dropped by the target": {ssh, func(o *observation) {
			o.packets, o.rulings = []sighting{left, arrived, let}, []ruling{answerDropped("b")}
		}, Dropped, "filter dropped the answer"},

		"a refusal by a rule": {ssh, func(o *observation) {
			o.outcome, o.rulings = refused, []ruling{ruledBy("b", "reject with tcp reset", "drop")}
			o.packets = []sighting{left, arrived, reset}
		}, Refused, "b rejected it"},
		"a prohibition by a rule": {ssh, func(o *observation) {
			o.outcome, o.rulings = unreachable, []ruling{ruledBy("b", "reject with icmpx admin-prohibited", "drop")}
		}, Refused, "prohibited"},
		"a refusal where nothing listens": {ssh, func(o *observation) {
			o.outcome, o.listener = refused, listenerUnknown
			o.packets = []sighting{left, arrived, let, reset}
		}, Unknown, "nothing listens"},
		"a refusal in spite of a listener": {ssh, func(o *observation) {
			o.outcome = refused
			o.packets = []sighting{left, arrived, let, reset}
		}, Unknown, "although something listens"},
		"a refusal from nowhere": {ssh, func(o *observation) { o.outcome = refused }, Unknown, "neither a rule nor a listener"},
		"a refusal by a router": {ssh, func(o *observation) {
			o.outcome, o.packets = refused, []sighting{left, passing, rejected}
		}, Unreachable, "router"},

		"a refusal where it was led astray": {ssh, func(o *observation) {
			o.outcome, o.packets = refused, []sighting{left, passing, {node: "router", stage: delivered}, rejected}
		}, Unknown, "led to router"},
		"a silence where it was led astray": {ssh, func(o *observation) {
			o.packets = []sighting{left, passing, {node: "router", stage: delivered}}
		}, Unknown, "led to router"},

		"a drop on the way": {ssh, func(o *observation) {
			o.packets, o.rulings = []sighting{left, passing}, []ruling{ruledBy("router", "drop", "drop")}
		}, Unreachable, "stopped at router"},
		"a drop by the source itself": {ssh, func(o *observation) {
			o.rulings = []ruling{ruledBy("a", "policy drop", "drop")}
		}, Unreachable, "stopped at a by its own filter"},
		"a router that says no": {ssh, func(o *observation) {
			o.outcome, o.packets = unreachable, []sighting{left, passing, rejected}
		}, Unreachable, "router, which answered"},
		"a router that does not forward": {ssh, func(o *observation) {
			o.packets = []sighting{left, passing}
		}, Unreachable, "does not pass it on"},
		"a router that forwarded": {ssh, func(o *observation) {
			o.packets = []sighting{left, passing, passed, forwarded}
		}, Unknown, "not seen again"},
		"no neighbour behind a router": {ssh, func(o *observation) {
			o.packets = []sighting{left, passing, passed}
			o.neighbours = []neighbour{{node: "router", iface: "eth1", address: target, waited: time.Second}}
		}, Unreachable, "nobody answers the ARP request for 10.2.0.2 on router's eth1"},
		"no route":              {ssh, func(o *observation) { o.outcome = routeless }, Unreachable, "a has no route"},
		"an error from nowhere": {ssh, func(o *observation) { o.outcome = unreachable }, Unknown, "not known from where"},
		"no route, from a node that can't send anyway": {ssh, func(o *observation) {
			o.outcome, o.left = routeless, false
		}, Unknown, "no control packet leaves a"},
		"no neighbour": {ssh, func(o *observation) {
			o.packets = []sighting{prepared}
			o.neighbours = []neighbour{{node: "a", iface: "eth0", address: target, waited: time.Second}}
		}, Unreachable, "nobody answers the ARP request"},
		"no neighbour, and no control": {ssh, func(o *observation) {
			o.packets, o.left = []sighting{prepared}, false
			o.neighbours = []neighbour{{node: "a", iface: "eth0", address: target, waited: time.Second}}
		}, Unknown, "no control"},
		"a neighbour that answered": {ssh, func(o *observation) {
			o.packets = []sighting{prepared}
			o.neighbours = []neighbour{{node: "a", iface: "eth0", address: target, answered: true}}
		}, Unknown, "nothing says why"},
		"a neighbour of another family": {ssh, func(o *observation) {
			o.packets = []sighting{prepared}
			o.neighbours = []neighbour{{node: "a", address: netip.MustParseAddr("fd00::1"), waited: time.Second}}
		}, Unknown, "nothing says why"},
		"forbidden, and no rule seen": {ssh, func(o *observation) { o.outcome = forbidden }, Unknown, "no rule"},

		"a tunnel without the address": {ssh, func(o *observation) {
			o.packets = []sighting{{node: "a", iface: "wg0", stage: onWireOut}}
			o.tunnels = map[place]tunnelEnd{{"a", "wg0"}: {key: "A", peers: map[string][]netip.Prefix{"B": prefixes("10.9.0.0/24")}}}
		}, Unreachable, "no peer of wg0 has 10.2.0.2 among its AllowedIPs"},
		"a tunnel whose other end does not take it": {ssh, func(o *observation) {
			o.packets = []sighting{{node: "a", iface: "wg0", stage: onWireOut, source: netip.MustParseAddr("10.1.0.2")}}
			o.tunnels = map[place]tunnelEnd{
				{"a", "wg0"}: {key: "A", peers: map[string][]netip.Prefix{"B": prefixes("10.2.0.0/24")}},
				// Somebody else may send from that address.
				{"b", "wg0"}: {key: "B", peers: map[string][]netip.Prefix{"A": prefixes("10.1.0.7/32"), "C": prefixes("10.1.0.2/32")}},
			}
		}, Unreachable, "b's wg0 does not take it"},
		"a tunnel that says so": {ssh, func(o *observation) {
			o.outcome, o.packets = unreachable, []sighting{{node: "a", iface: "wg0", stage: onWireOut}}
			o.tunnels = map[place]tunnelEnd{{"a", "wg0"}: {key: "A"}}
		}, Unreachable, "AllowedIPs"},
		"a tunnel that should have carried it": {ssh, func(o *observation) {
			o.packets = []sighting{{node: "a", iface: "wg0", stage: onWireOut, source: netip.MustParseAddr("10.1.0.2")}}
			o.tunnels = map[place]tunnelEnd{
				{"a", "wg0"}: {key: "A", peers: map[string][]netip.Prefix{"B": prefixes("10.2.0.2/32")}},
				{"b", "wg0"}: {key: "B", peers: map[string][]netip.Prefix{"A": prefixes("10.1.0.2/32")}},
			}
		}, Unknown, "not seen again"},

		"a silent service behind an open port": {dns, func(o *observation) {
			o.listener, o.packets = listenerReal, []sighting{left, arrived, let}
		}, Open, "junk got no answer"},
		"our own listener that kept silent": {dns, func(o *observation) {
			o.packets = []sighting{left, arrived, let}
		}, Unknown, "nothing answered"},
		"a datagram that was dropped": {dns, func(o *observation) {
			o.packets, o.rulings = []sighting{left, arrived}, []ruling{ruledBy("b", "policy drop", "drop")}
		}, Dropped, "datagram arrived"},
		"an attempt that could not be made": {ssh, func(o *observation) {
			o.failure, o.packets = "no socket", []sighting{arrived}
			o.rulings = []ruling{ruledBy("b", "drop", "drop")}
		}, Unknown, "no socket"},
	} {
		t.Run(name, func(t *testing.T) {
			j := judge(observed(c.service, c.seen))
			if j.saw != c.want || !strings.Contains(j.why, c.why) {
				t.Errorf("got %s: %s; want %s: …%s…", j.saw, j.why, c.want, c.why)
			}
			if !j.final {
				t.Error("nothing more will come, and the judgement is not final")
			}
		})
	}
}

// A prober whose trace or capture is broken must not say anything but unknown,
// whatever it believes to have seen; only a proven identity outweighs that.
func TestABlindProberKnowsNothing(t *testing.T) {
	for name, seen := range map[string]func(*observation){
		"drop":        func(o *observation) { o.rulings = []ruling{ruledBy("b", "drop", "drop")} },
		"refusal":     func(o *observation) { o.outcome, o.rulings = refused, []ruling{ruledBy("b", "reject", "drop")} },
		"unreachable": func(o *observation) { o.outcome = routeless },
		"unchecked":   func(o *observation) { o.outcome, o.identity = answered, identity{text: "a service"} },
	} {
		for _, node := range []string{"a", "b"} {
			o := observed(ssh, seen)
			o.blind = map[string]string{node: "blind"}
			if j := judge(o); j.saw != Unknown {
				t.Errorf("%s, %s blind: %s", name, node, j.saw)
			}
		}
	}
}

// What may still be explained is not final: the trace is slower than an
// answer, and a rejection slower than the rule that sends it.
func TestAJudgementWaitsForItsReason(t *testing.T) {
	young := func(change func(*observation)) observation {
		o := observed(ssh, change)
		o.age, o.expired = time.Millisecond, false
		return o
	}
	for name, c := range map[string]struct {
		o     observation
		final bool
	}{
		"a drop is final at once, before the SYN is repeated": {young(func(o *observation) { o.rulings = []ruling{ruledBy("b", "drop", "drop")} }), true},
		"a reject waits for its answer":                       {young(func(o *observation) { o.rulings = []ruling{ruledBy("b", "reject", "drop")} }), false},
		"a rule without text may be a reject":                 {young(func(o *observation) { o.rulings = []ruling{ruledBy("b", "", "drop")} }), false},
		"an answer waits for its rule": {young(func(o *observation) {
			o.outcome, o.identity = answered, identity{checked: true, right: true}
		}), false},
		"an answer with its rule": {young(func(o *observation) {
			o.outcome, o.identity, o.packets = answered, identity{checked: true, right: true}, []sighting{let}
		}), true},
		"an error waits for where it came from": {young(func(o *observation) { o.outcome = unreachable }), false},
		"a silence waits":                       {young(func(o *observation) { o.packets = []sighting{left, arrived} }), false},
	} {
		if j := judge(c.o); j.final != c.final {
			t.Errorf("%s: final is %t (%s)", name, j.final, j.why)
		}
	}
}

func TestTheAcceptingRuleIsTheLastThatDecided(t *testing.T) {
	o := observed(ssh, func(o *observation) {
		policy := ruledBy("b", "policy accept", "accept")
		policy.rule.Handle = 0
		o.rulings = []ruling{policy, ruledBy("b", "tcp dport 22 accept", "accept"), policy, ruledBy("a", "accept", "accept")}
	})
	if a := o.accept("b"); a == nil || a.rule.Text != "tcp dport 22 accept" {
		t.Errorf("got %+v", a)
	}
}

func TestMet(t *testing.T) {
	for want, verdicts := range map[Want]map[Verdict]bool{
		WantOpen:   {Open: true, Refused: false, Dropped: false, Unreachable: false, WrongService: false, Unknown: false},
		WantClosed: {Open: false, Refused: true, Dropped: true, Unreachable: true, WrongService: false, Unknown: false},
		WantSilent: {Open: false, Refused: false, Dropped: true, Unreachable: true, WrongService: false, Unknown: false},
	} {
		for v, met := range verdicts {
			if want.Met(v) != met {
				t.Errorf("want %s, saw %s: met is %t", want, v, !met)
			}
		}
	}
}
