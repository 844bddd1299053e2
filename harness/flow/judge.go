package flow

import (
	"fmt"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
)

// How long the judge waits for what should have happened by then.
const (
	// neighbourPatience: in a lab a neighbour answers within the same
	// interrupt; the kernel itself asks three times in three seconds.
	neighbourPatience = 300 * time.Millisecond
	// wireGrace is how long a packet may take from the last trace to the cable.
	wireGrace = 60 * time.Millisecond
	// quiet is how long a service that must not answer is listened to.
	quiet = 150 * time.Millisecond
	// traceGrace is how long a trace may come later than what it explains: it
	// goes through a program of the node and a pipe, and a busy machine has
	// been seen to hold it up for a third of a second.
	traceGrace = 800 * time.Millisecond
)

// judgement is a verdict with its reason. One that is not final may change
// with what is seen next.
type judgement struct {
	saw   Verdict
	why   string
	rule  *filter.Rule
	final bool

	discovery bool // it stopped for want of a neighbour's address
	weak      bool // its trace is missing: worth asking again
}

func unknown(format string, args ...any) judgement {
	return judgement{saw: Unknown, why: fmt.Sprintf(format, args...)}
}

// judge gives the verdict that an observation proves. It proves nothing by
// silence alone: see the package's documentation.
func judge(o observation) judgement {
	j := weigh(o)
	if reason := o.blindness(); reason != "" && !(j.saw == Open && o.identity.checked) {
		j = unknown("%s", reason)
	}
	j.final = j.final || o.expired
	return j
}

// blindness says why nothing can be told when a control was not seen at either
// end.
func (o observation) blindness() string {
	for _, node := range []string{o.flow.From, o.flow.To} {
		if reason := o.blind[node]; reason != "" {
			return fmt.Sprintf("%s: %s", node, reason)
		}
	}
	return ""
}

func weigh(o observation) judgement {
	switch {
	case o.failure != "":
		return judgement{saw: Unknown, why: o.failure, final: true}
	case o.outcome == answered:
		return weighAnswer(o)
	case o.outcome == refused:
		return weighRefusal(o)
	}
	if d := o.drop(false); d != nil {
		return weighDrop(o, d)
	}
	if o.outcome == unreachable || o.outcome == routeless || o.outcome == forbidden {
		return weighError(o)
	}
	return weighSilence(o)
}

// weighAnswer judges an answer by who gave it.
func weighAnswer(o observation) judgement {
	j := judgement{saw: Open, why: o.identity.text + " answered"}
	switch {
	case o.identity.doubt != "":
		return judgement{saw: Unknown, why: o.identity.doubt, final: true}
	case o.identity.checked && !o.identity.right:
		j.saw, j.why = WrongService, o.identity.text+" answered, which is not what should be there"
	case !o.identity.checked:
		j.why = o.identity.text + " answered; identity not checked"
	}
	if a := o.accept(o.flow.To); a != nil {
		j.rule = &a.rule
	}
	// The rule that let it in may still be on its way here.
	traced := o.saw(o.flow.To, false, delivered)
	j.final, j.weak = traced || o.age > traceGrace, !traced
	return j
}

// weighRefusal judges a reset or a port unreachable by who sent it, and
// whether anybody listens there.
func weighRefusal(o observation) judgement {
	d := o.drop(false)
	late := o.age > traceGrace
	if d != nil {
		j := judgement{rule: &d.rule, final: true}
		if d.node == o.flow.To {
			j.saw, j.why = Refused, fmt.Sprintf("%s rejected it", d.node)
		} else {
			j.saw, j.why = Unreachable, fmt.Sprintf("stopped at %s, which rejected it", d.node)
		}
		return j
	}
	by, known := o.refuser()
	switch {
	case known && by.node != o.flow.To && o.saw(by.node, false, delivered):
		return judgement{saw: Unknown, why: fmt.Sprintf("it was led to %s, where nothing listens: that proves nothing about the filters", by.node), final: late}
	case known && by.node != o.flow.To && by.node != o.flow.From:
		return judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s, which refused it", by.node), final: late}
	case o.saw(o.flow.To, false, delivered):
		if o.listener == listenerOurs || o.listener == listenerReal {
			return judgement{saw: Unknown, why: "it passed the filter and was refused although something listens there", final: late}
		}
		return judgement{saw: Unknown, why: "refused, but nothing listens there: that proves nothing about the filter", final: late}
	}
	j := unknown("refused, and neither a rule nor a listener explains it")
	j.final = late
	return j
}

// weighDrop judges a packet that a filter is known to have dropped.
func weighDrop(o observation, d *ruling) judgement {
	j := judgement{rule: &d.rule}
	rejects := strings.Contains(d.rule.Text, "reject") || d.rule.Text == ""
	j.final = !rejects || o.age > traceGrace
	switch d.node {
	case o.flow.To:
		if o.outcome == unreachable { // what a rejecting rule sends
			j.saw, j.why, j.final = Refused, fmt.Sprintf("%s prohibited it", d.node), true
			return j
		}
		j.saw, j.why = Dropped, fmt.Sprintf("%s arrived at %s, no answer", o.kind(), d.node)
	case o.flow.From:
		j.saw, j.why = Unreachable, fmt.Sprintf("stopped at %s by its own filter", d.node)
	default:
		j.saw, j.why = Unreachable, fmt.Sprintf("stopped at %s, which does not let it through", d.node)
	}
	return j
}

// weighError judges an error that no filter explains.
func weighError(o observation) judgement {
	by, known := o.refuser()
	last, seen := o.last()
	switch {
	case o.outcome == routeless:
		return o.controlled(judgement{saw: Unreachable, why: fmt.Sprintf("%s has no route to %s", o.flow.From, o.flow.Address), final: true})
	case o.outcome == forbidden:
		j := unknown("%s's kernel forbids it, and no rule was seen to", o.flow.From)
		j.final = o.age > traceGrace
		return j
	case known && by.node == o.flow.To:
		return judgement{saw: Refused, why: fmt.Sprintf("%s answered that it is prohibited", by.node), final: o.age > traceGrace}
	case known && by.node != o.flow.From:
		return judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s, which answered that it is unreachable", by.node), final: o.age > traceGrace}
	}
	if n := o.lonely(o.flow.From); n != nil {
		return o.controlled(n.judgement())
	}
	if seen && last.stage == onWireOut {
		if why := o.astray(last); why != "" {
			return o.controlled(judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s: %s", last.node, why), final: true})
		}
	}
	return unknown("an error came back, and it is not known from where")
}

// controlled keeps an unreachable only if the source is able to send at all.
func (o observation) controlled(j judgement) judgement {
	if o.left {
		return j
	}
	return unknown("%s, but no control packet leaves %s either", j.why, o.flow.From)
}

// weighSilence judges what was neither answered nor dropped by a filter.
func weighSilence(o observation) judgement {
	to := o.flow.To
	switch {
	case o.saw(to, false, delivered):
		return weighDelivered(o)
	case o.saw(to, false, onWireIn, entered):
		// Its own kernel took it: a wrong source, no such address, a broken
		// packet. That is told only when a rule had its chance to show.
		return judgement{saw: Dropped, why: fmt.Sprintf("%s arrived at %s and vanished before its filter; no answer", o.kind(), to), weak: true}
	}
	last, seen := o.last()
	if !seen {
		return unknown("no packet was seen, not even at %s", o.flow.From)
	}
	switch last.stage {
	case onWireOut:
		if why := o.astray(last); why != "" {
			return o.controlled(judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s: %s", last.node, why), final: o.age > wireGrace})
		}
		return unknown("it left %s by %s and was not seen again", last.node, last.iface)
	case passedOn:
		return weighNeighbours(o, last)
	case delivered:
		return unknown("it was led to %s, passed its filter, and nothing answered", last.node)
	}
	if last.node == o.flow.From {
		return unknown("it did not leave %s, and nothing says why", last.node)
	}
	return judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s, which does not pass it on", last.node)}
}

// weighDelivered judges what the target's filter let in and nobody answered.
func weighDelivered(o observation) judgement {
	to := o.flow.To
	var rule *filter.Rule
	if a := o.accept(to); a != nil {
		rule = &a.rule
	}
	if d := o.drop(true); d != nil {
		if d.node == to {
			return judgement{saw: Dropped, why: fmt.Sprintf("%s arrived at %s, whose filter dropped the answer", o.kind(), to), rule: &d.rule, final: true}
		}
		j := unknown("%s answered, and %s dropped the answer", to, d.node)
		j.rule, j.final = &d.rule, true
		return j
	}
	if o.flow.Service.Protocol == "udp" && o.listener == listenerReal && !o.saw(to, true, onWireOut) {
		// Such as WireGuard, which must not answer to what it can't decrypt.
		return judgement{saw: Open, why: fmt.Sprintf("it passed the filter of %s, a service is bound there, and junk got no answer; identity not checked", to),
			rule: rule, final: o.age > quiet}
	}
	if n := o.lonely(to); n != nil {
		j := unknown("it passed the filter of %s, which can't answer: %s", to, n.why())
		j.rule = rule
		return j
	}
	j := unknown("it passed the filter of %s, and nothing answered", to)
	if o.saw(to, true, onWireOut) {
		j = unknown("%s answered, and the answer did not arrive", to)
	}
	j.rule = rule
	return j
}

// weighNeighbours judges what a node wanted to send and did not: it has no
// hardware address to send it to.
func weighNeighbours(o observation, last sighting) judgement {
	n := o.lonely(last.node)
	if n == nil {
		return unknown("it did not leave %s, and nothing says why", last.node)
	}
	j := n.judgement()
	j.final = j.final && o.age > wireGrace
	if last.node == o.flow.From {
		return o.controlled(j)
	}
	return j
}

// astray says why a packet that entered a tunnel can't come out at the other
// end: WireGuard sends to the peer that has the address among its AllowedIPs,
// takes from it only what has one of them, and tells nobody of the rest.
func (o observation) astray(last sighting) string {
	near, isTunnel := o.tunnels[place{last.node, last.iface}]
	if !isTunnel {
		return ""
	}
	peer, ok := near.peerFor(o.flow.Address)
	if !ok {
		return fmt.Sprintf("no peer of %s has %s among its AllowedIPs", last.iface, o.flow.Address)
	}
	for at, far := range o.tunnels {
		if far.key == peer && last.source.IsValid() && !containing(far.peers[near.key], last.source) {
			return fmt.Sprintf("%s's %s does not take it, since %s is not among the AllowedIPs that it has for %s", at.node, at.iface, last.source, last.node)
		}
	}
	return ""
}

// lonely is the neighbour that the node asked for in vain: the target, or a
// router on the way.
func (o observation) lonely(node string) *neighbour {
	var found *neighbour
	for i, n := range o.neighbours {
		if n.node != node || n.answered && n.dropped == nil || n.address.Is4() != o.flow.Address.Is4() {
			continue
		}
		if n.address == o.flow.Address {
			return &o.neighbours[i]
		}
		if found == nil {
			found = &o.neighbours[i]
		}
	}
	return found
}

func (n neighbour) why() string {
	question := "neighbour solicitation"
	if n.address.Is4() {
		question = "ARP request"
	}
	switch {
	case n.dropped == nil:
		return fmt.Sprintf("nobody answers the %s for %s on %s's %s", question, n.address, n.node, n.iface)
	case n.dropped.node == n.node:
		return fmt.Sprintf("its own filter drops the neighbour advertisement of %s", n.address)
	}
	return fmt.Sprintf("%s drops the %s for %s", n.dropped.node, question, n.address)
}

func (n neighbour) judgement() judgement {
	j := judgement{saw: Unreachable, why: fmt.Sprintf("stopped at %s: %s", n.node, n.why()), discovery: true}
	j.final = n.waited > neighbourPatience
	if n.dropped != nil {
		j.rule, j.final = &n.dropped.rule, true
	}
	return j
}

// kind is what the flow's first packet is called.
func (o observation) kind() string {
	switch o.flow.Service.Protocol {
	case "tcp":
		return "SYN"
	case "udp":
		return "datagram"
	}
	return "echo request"
}
