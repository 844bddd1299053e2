// Package match is how a spec says what it expects of a probe, in Gomega's
// words.
//
//	Expect(probe).To(match.BeOpen())
//	Expect(probe).To(match.BeSeenAs(flow.Dropped, flow.Unreachable))
//	Expect(probe).To(match.Keep(row))
//
// An unknown verdict satisfies nothing, not even a negation: it fails with
// what kept it from being told.
package match
