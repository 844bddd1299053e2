package harness

import (
	"fmt"

	"github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
)

// Report tells of promises that do not hold. The spec goes on; it fails at its
// end unless waivers cover all of them.
func Report(findings ...evidence.Finding) {
	ginkgo.GinkgoHelper()
	tell(func(n *session) {
		for _, f := range findings {
			f.Evidence = n.folder.Name()
			f.Waiver = evidence.Waive(f, evidence.Waivers(self.site), clock())
			n.spec.Findings = append(n.spec.Findings, f)
		}
	})
}

// Rows tells of judged flows, which the report's matrix shows. Each counts as
// judged unless nothing could be told of it, and then the spec could not test.
// A row that is not as promised needs a finding of the same flow.
func Rows(rows ...evidence.Row) {
	ginkgo.GinkgoHelper()
	tell(func(n *session) {
		for _, r := range rows {
			if r.Saw != unknown && r.Saw != "" {
				n.spec.Judged++
			}
			n.spec.Rows = append(n.spec.Rows, r)
		}
	})
}

// RowOf is a cell of the matrix with what a probe saw.
func RowOf(r flow.Row, p flow.Probe) evidence.Row {
	row := evidence.Row{
		Promise: r.Promise,
		From:    r.Flow.From, To: r.Flow.To, Over: r.Flow.Over, Family: string(r.Flow.Family), Service: r.Flow.Service.Name,
		Want: string(r.Want), Saw: string(p.Saw), Why: p.Why, Met: r.Want.Met(p.Saw),
	}
	if address := p.Flow.Address; address.IsValid() {
		row.Address = address.String()
	}
	if p.Rule != nil {
		row.Rule, row.RuleText = p.Rule.String(), p.Rule.Text
	}
	return row
}

// Judged counts flows that were judged and are no rows.
func Judged(flows int) {
	ginkgo.GinkgoHelper()
	tell(func(n *session) { n.spec.Judged += flows })
}

// Subject names what the spec judges and is no flow, in the words of a
// finding's flow: "ssh at vps". It lets a waiver of it be seen to be stale.
func Subject(names ...string) {
	ginkgo.GinkgoHelper()
	tell(func(n *session) { n.spec.Subjects = append(n.spec.Subjects, names...) })
}

// Promise names the promise that the spec checks, as site.yaml does: limits.
func Promise(name string) {
	ginkgo.GinkgoHelper()
	tell(func(n *session) { n.spec.Promise = name })
}

// CouldNotTest ends the spec without an answer, which is never a pass.
func CouldNotTest(format string, args ...any) {
	ginkgo.GinkgoHelper()
	reason := fmt.Sprintf(format, args...)
	tell(func(n *session) { n.untested = worst(n.untested, reason) })
	self.fail(evidence.CodeCouldNotTest.String()+": "+reason, 1)
}

// Evidence is the folder of the spec under way: for files that prove
// something, captures and probes.
func Evidence() *evidence.Folder {
	ginkgo.GinkgoHelper()
	var folder *evidence.Folder
	tell(func(n *session) { folder = n.folder })
	return folder
}

// tell changes the record of the spec under way.
func tell(change func(*session)) {
	ginkgo.GinkgoHelper()
	if self == nil || self.session.Load() == nil {
		ginkgo.Fail("only a spec that runs has something to tell")
	}
	n := self.session.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}
