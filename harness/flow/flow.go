package flow

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// Verdict is what a flow did. The words are nmap's port states where it has
// them, and unknown never satisfies anything.
type Verdict string

// The verdicts.
const (
	Open         Verdict = "open"          // the right service answered
	Refused      Verdict = "refused"       // a reset, or an ICMP port unreachable or prohibited by the target itself
	Dropped      Verdict = "dropped"       // it arrived, and there was no answer
	Unreachable  Verdict = "unreachable"   // it never arrived, and it is shown where it stopped
	WrongService Verdict = "wrong-service" // something answered, and it is not what should be there
	Unknown      Verdict = "unknown"       // could not be told
)

// Closed says whether the verdict keeps a promise that the flow is closed.
func (v Verdict) Closed() bool { return v == Refused || v == Dropped || v == Unreachable }

// Family is an address family as people say it.
type Family string

// The families. LinkLocal is IPv6 within one network.
const (
	IPv4      Family = "ipv4"
	IPv6      Family = "ipv6"
	LinkLocal Family = "ipv6 link-local"
)

// Flow is one question: can From reach this service at this address of To?
type Flow struct {
	From    string           `json:"from"`
	To      string           `json:"to"`
	Over    string           `json:"over"` // the network or tunnel that Address is on
	Family  Family           `json:"family"`
	Address netip.Addr       `json:"address"` // link-local: unset until the lab runs
	Service topology.Service `json:"service"`
}

// String is the flow as waivers and reports write it:
// "stranger -> vps over internet pbs ipv6".
func (f Flow) String() string {
	return fmt.Sprintf("%s -> %s over %s %s %s", f.From, f.To, f.Over, f.Service.Name, f.Family)
}

// Probe is one attempt at a flow with its evidence.
type Probe struct {
	Flow     Flow          `json:"flow"`
	Saw      Verdict       `json:"saw"`
	Why      string        `json:"why"`                // one line: what was observed, such as "SYN arrived on vps eth0, no answer"
	Rule     *filter.Rule  `json:"rule,omitempty"`     // the rule or policy that decided, where a filter did
	Identity string        `json:"identity,omitempty"` // what answered: "PBS, TLS 8a:12:…", "SSH-2.0-… SHA256:…"
	Witness  []string      `json:"witness,omitempty"`  // packets seen, traces, controls, in order
	SYNs     int           `json:"syns,omitempty"`     // connection attempts as the target counted them
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took"`

	discovery bool   // it stopped for want of a neighbour's address
	weak      bool   // its trace is missing
	packets   []kept // for a capture file
}

// Want is what a promise expects of a flow.
type Want string

// The expectations. Silent is a witnessed drop; Closed is refused, dropped or
// unreachable.
const (
	WantOpen   Want = "open"
	WantClosed Want = "closed"
	WantSilent Want = "dropped"
)

// Met says whether the verdict is what was wanted. Unknown never is.
func (w Want) Met(v Verdict) bool {
	switch w {
	case WantOpen:
		return v == Open
	case WantSilent:
		return v == Dropped || v == Unreachable
	case WantClosed:
		return v.Closed()
	}
	return false
}

// Row is one cell of the matrix: a flow, what is wanted of it, and the promise
// that says so.
type Row struct {
	Flow    Flow              `json:"flow"`
	Want    Want              `json:"want"`
	Promise string            `json:"promise"` // reach, or silent
	At      topology.Position `json:"at"`      // the promise's line; for the complement, the line of promises.reach
}
