// Package flow asks a running lab who can reach whom, and answers with typed
// verdicts and their evidence.
//
// It knows labs only through the abilities in topology, so the same questions
// can be put to any driver. It has no Ginkgo; matchers are in harness/match.
//
//	Matrix(site) --rows--> Prober.Probe --verdicts--> suites
//
// # How a packet is followed
//
// Each attempt has a source port (or echo id) that no other has, from below the
// kernel's own range. By it every node knows a packet of the attempt, however
// it is translated on the way:
//
//	        arrived ─ prerouting ─┬─ input ─ delivered      (trace, chains of
//	in ─┤                         └─ forward ─┐              our own table)
//	    │                            output ──┴─ left ─├─ out
//	    └ witness: a packet socket on every interface ─┘
//
// Between our early chains and our late ones are the node's filters, which the
// trace (nft -a monitor trace) names with table, chain and handle.
//
// # What proves what
//
// A verdict is a function of what was observed ([judge]) and never of silence
// alone:
//
//   - open: an answer, and the right key, certificate, nonce or word in it; for
//     a service that must not answer junk, such as WireGuard, that the packet
//     passed the target's filter and that something is bound there.
//   - refused: a rule of the target that rejects. Where nothing of the node's
//     own listens, a listener of the harness does, so that a reset without a
//     rule explains nothing and is unknown.
//   - dropped: the packet arrived at the target, a rule dropped it there (or it
//     vanished before its filter), and no answer came.
//   - unreachable: it is shown where the packet stopped: a filter on the way, a
//     router's ICMP, an address that no neighbour answers for, AllowedIPs, no
//     route; where that needs one, with a control packet that left the source.
//   - unknown: everything else, and whatever a node says whose trace or witness
//     didn't see its own control packet over lo just before.
package flow
