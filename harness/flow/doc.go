// Package flow asks a running lab who can reach whom, and answers with typed
// verdicts and their evidence.
//
// It knows labs only through the abilities in topology, so the same questions
// can be put to any driver. It has no Ginkgo; matchers are in harness/match.
//
//	Matrix(site) --rows--> Prober.Probe --verdicts--> suites
package flow
