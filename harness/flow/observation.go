package flow

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
)

// observation is everything that was seen of one attempt. A verdict is a
// function of it and of nothing else ([judge]).
type observation struct {
	flow    Flow
	age     time.Duration // since the first packet was handed to the kernel
	expired bool          // no more is waited for
	failure string        // why the attempt could not be made at all
	outcome outcome
	// connected: a connection stands, and who is there is being asked.
	connected bool
	identity  identity
	listener  listener

	packets    []sighting
	rulings    []ruling
	neighbours []neighbour

	tunnels map[place]tunnelEnd

	blind map[string]string // node → why its trace or its witness can't be believed
	left  bool              // control: the source is able to put a packet on a cable
}

// outcome is what the source's socket was told.
type outcome int

const (
	pending     outcome = iota
	answered            // connected, or an answer came back
	refused             // ECONNREFUSED: a reset, or an ICMP port unreachable
	unreachable         // EHOSTUNREACH, ENETUNREACH, EACCES: an ICMP error came back
	routeless           // the same at once, from the source's own kernel
	forbidden           // EPERM: the source's own filter
)

// identity is what is known about who answered.
type identity struct {
	checked bool
	right   bool
	doubt   string // why it could not be checked although it should be
	text    string // "SSH-2.0-OpenSSH_10.0 SHA256:…"
}

// listener is what stands behind the judged port.
type listener int

const (
	listenerUnknown listener = iota
	listenerReal             // a service of the node's own
	listenerOurs             // one of the harness, for the time of the probe
	listenerKernel           // ICMP echo
)

// stage is how far a packet came within a node.
type stage int

const (
	onWireIn  stage = iota + 1 // the witness saw it come in
	entered                    // traced before any filter
	delivered                  // traced behind every input filter
	passedOn                   // traced behind every output or forward filter
	onWireOut                  // the witness saw it leave
)

// sighting is one packet of the flow, or of its answer, seen at one place.
type sighting struct {
	at        time.Time
	node      string
	iface     string
	stage     stage
	answer    bool // of the target's side: an answer, a reset, an ICMP error
	reset     bool // it says no
	prohibits bool // ICMP: unreachable
	source    netip.Addr
	text      string // "SYN 10.1.0.2:10240 > 10.2.0.2:22"
}

// place is an interface of a node.
type place struct{ node, iface string }

// ruling is what a filter of a node did with a packet.
type ruling struct {
	at      time.Time
	node    string
	rule    filter.Rule
	answer  bool
	decides bool // accept or drop, rather than a jump
}

// neighbour is a node's question for the hardware address of another.
type neighbour struct {
	node     string
	iface    string
	address  netip.Addr
	waited   time.Duration // since the question, while there is no answer
	answered bool
	dropped  *ruling // the filter that dropped the question, or the answer
}

func (s sighting) String() string {
	where := map[stage]string{
		onWireIn: "arrived at %s %s", entered: "entered %s %s", delivered: "passed the input filter of %s%s",
		passedOn: "passed the filters of %s on the way out%s", onWireOut: "left %s by %s",
	}[s.stage]
	iface := s.iface
	if s.stage == delivered || s.stage == passedOn {
		iface = ""
	}
	return fmt.Sprintf(where, s.node, iface) + ": " + s.text
}

func (r ruling) String() string {
	return fmt.Sprintf("%s %s %s %s: %s: %s", r.node, r.rule.Family, r.rule.Table, r.rule.Chain, r.rule.Text, r.rule.Verdict)
}

// saw says whether a packet of the flow (or of its answer) was seen so far.
func (o observation) saw(node string, answer bool, stages ...stage) bool {
	for _, s := range o.packets {
		if s.node != node || s.answer != answer {
			continue
		}
		for _, want := range stages {
			if s.stage == want {
				return true
			}
		}
	}
	return false
}

// drop is the first ruling that ended the packet's way.
func (o observation) drop(answer bool) *ruling {
	for i, r := range o.rulings {
		if r.answer == answer && r.rule.Verdict == "drop" {
			return &o.rulings[i]
		}
	}
	return nil
}

// accept is the rule that let the packet in at the node: the last that decided
// before it was delivered, and a rule rather than a policy if there was one.
func (o observation) accept(node string) *ruling {
	var found *ruling
	for i, r := range o.rulings {
		if r.node != node || r.answer || !r.decides || r.rule.Verdict != "accept" {
			continue
		}
		if found == nil || r.rule.Handle != 0 || found.rule.Handle == 0 {
			found = &o.rulings[i]
		}
	}
	return found
}

// refuser is the node that said no: where the refusal left without having come
// from elsewhere.
func (o observation) refuser() (sighting, bool) {
	for _, s := range o.packets {
		if !s.answer || !s.reset || s.stage != onWireOut {
			continue
		}
		cameIn := false
		for _, other := range o.packets {
			if other.answer && other.reset && other.node == s.node && other.stage == onWireIn && other.iface != "lo" {
				cameIn = true
			}
		}
		if !cameIn {
			return s, true
		}
	}
	return sighting{}, false
}

// last is the last place where the request was seen.
func (o observation) last() (sighting, bool) {
	var found sighting
	ok := false
	for _, s := range o.packets {
		if !s.answer && (!ok || s.hop(o) >= found.hop(o)) {
			found, ok = s, true
		}
	}
	return found, ok
}

// hop orders places along the way: the source's, those between in the order
// that they were seen, the target's.
func (s sighting) hop(o observation) int {
	const perNode = 10
	switch s.node {
	case o.flow.From:
		return int(s.stage)
	case o.flow.To:
		return 1000*perNode + int(s.stage)
	}
	order := 1
	seen := map[string]bool{}
	for _, other := range o.packets {
		if other.answer || other.node == o.flow.From || other.node == o.flow.To || seen[other.node] {
			continue
		}
		seen[other.node] = true
		if other.node == s.node {
			break
		}
		order++
	}
	return order*perNode + int(s.stage)
}
