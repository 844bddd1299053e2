package evidence

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Code is the exit code of a run.
type Code int

// The codes, of which docs have one table.
const (
	CodeHeld         Code = 0
	CodeFailed       Code = 1
	CodeCouldNotTest Code = 3
	CodeInterrupted  Code = 130
)

// String is the code's meaning in a word.
func (c Code) String() string {
	switch c {
	case CodeHeld:
		return "held"
	case CodeFailed:
		return "failed"
	case CodeCouldNotTest:
		return "could not test"
	case CodeInterrupted:
		return "interrupted"
	}
	return fmt.Sprintf("code %d", int(c))
}

// Outcome is what a run comes to.
type Outcome struct {
	Code         Code     `json:"code"`
	Word         string   `json:"word"`
	Reasons      []string `json:"reasons,omitempty"` // why it is not 0, worst first
	Held         int      `json:"held"`              // specs; those whose findings are all waived are neither held nor failed
	Failed       int      `json:"failed"`
	Waived       int      `json:"waived"` // findings
	CouldNotTest int      `json:"couldNotTest"`
	Skipped      int      `json:"skipped"`
	Interrupted  int      `json:"interrupted"`
	NeverRan     int      `json:"neverRan"` // planned, and without a record
	Judged       int      `json:"judged"`   // flows
	Stale        []Stale  `json:"stale,omitempty"`
}

// Settled is the specs with what they recorded taken at its word: waivers as
// they count now, and a state only as far as findings and rows bear it out.
// The argument stays as it is.
func Settled(run Run, specs []Spec, now time.Time) []Spec {
	settled := slices.Clone(specs)
	for i := range settled {
		s := &settled[i]
		s.Findings = slices.Clone(s.Findings)
		for k := range s.Findings {
			s.Findings[k].Waiver = Waive(s.Findings[k], run.Waivers, now)
		}
		if end, why := s.end(); end != s.State {
			s.State, s.Reason = end, why
		}
	}
	return settled
}

// Conclude says what a run comes to. It is the only place that does.
//
// An interruption comes before a failure, and a failure before what could not
// be tested. Nothing but specs that ran, each of which held or is waived,
// makes a run that held.
func Conclude(run Run, specs []Spec, now time.Time) Outcome {
	o := Outcome{}
	specs = Settled(run, specs, now)
	judged := JudgedFlows(specs)
	for _, n := range judged {
		o.Judged += n
	}
	for _, s := range specs {
		o.count(s)
	}
	o.Stale = Apply(findingsOf(specs), run.Waivers, JudgedBy(specs), now)
	o.NeverRan = max(0, run.Planned-planned(specs))

	var interrupted, failed, untested []string
	if run.Interrupted || run.Ended.IsZero() || o.Interrupted > 0 {
		interrupted = append(interrupted, "the run did not come to its end")
	}
	if o.Failed > 0 {
		failed = append(failed, plural(o.Failed, "promise does not hold", "promises do not hold"))
	}
	for _, s := range o.Stale {
		failed = append(failed, s.String())
	}
	untested = append(untested, o.untested(run, judged)...)
	o.Reasons = slices.Concat(interrupted, failed, untested)
	switch {
	case len(interrupted) > 0:
		o.Code = CodeInterrupted
	case len(failed) > 0:
		o.Code = CodeFailed
	case len(untested) > 0:
		o.Code = CodeCouldNotTest
	}
	o.Word = o.Code.String()
	return o
}

// JudgedFlows is how many flows each suite judged. One that several specs
// judged counts once: what was looked at twice must not make up for what was
// left out.
func JudgedFlows(specs []Spec) map[string]int {
	judged := map[string]int{}
	known := map[[2]string]bool{}
	for _, s := range specs {
		other := s.Judged // flows that are no rows
		for _, r := range s.Rows {
			if r.Saw == unknown || r.Saw == "" {
				continue
			}
			other--
			if at := [2]string{s.Suite, r.Flow()}; !known[at] {
				known[at] = true
				judged[s.Suite]++
			}
		}
		judged[s.Suite] += max(0, other)
	}
	return judged
}

func (o *Outcome) count(s Spec) {
	for _, f := range s.Findings {
		if f.Waiver != nil {
			o.Waived++
		}
	}
	switch s.State {
	case Held:
		o.Held++
	case Failed:
		o.Failed++
	case Waived:
	case Skipped:
		o.Skipped++
	case Interrupted:
		o.Interrupted++
	default: // CouldNotTest, and whatever is not known
		o.CouldNotTest++
	}
}

func (s Spec) end() (end State, why string) {
	if s.State != Held && s.State != Waived {
		return s.State, ""
	}
	for _, f := range s.Findings {
		if f.Waiver == nil {
			return Failed, "a finding is not waived"
		}
	}
	for _, r := range s.Rows {
		if r.Saw == unknown || r.Saw == "" {
			return CouldNotTest, "it could not be told of every flow: " + r.Flow() + ": " + r.Why
		}
		if !r.Met && !r.Waived {
			return Failed, "a flow is not as promised: " + r.Flow()
		}
	}
	if s.State == Waived && len(s.Findings) == 0 {
		return CouldNotTest, "it says that its findings are waived, and has none"
	}
	return s.State, ""
}

// untested is why a run that found nothing wrong still proves nothing.
func (o *Outcome) untested(run Run, judged map[string]int) []string {
	why := slices.Clone(run.Trouble)
	if o.CouldNotTest > 0 {
		why = append(why, plural(o.CouldNotTest, "spec could not test", "specs could not test"))
	}
	if o.NeverRan > 0 && !run.Interrupted && !run.Ended.IsZero() {
		why = append(why, plural(o.NeverRan, "spec was to run and has no record", "specs were to run and have no record"))
	}
	for _, suite := range slices.Sorted(maps.Keys(run.Minimum)) {
		if least := run.Minimum[suite]; judged[suite] < least {
			why = append(why, fmt.Sprintf("%s judged %s; at least %d were to be judged", suite, plural(judged[suite], "flow", "flows"), least))
		}
	}
	ran := o.Held + o.Failed + o.CouldNotTest + o.Interrupted
	if ran == 0 && o.Waived == 0 {
		text := "no spec ran"
		if run.Filter != "" {
			text = "no spec matches the filter " + run.Filter
		}
		why = append(why, text)
	}
	return why
}

// planned counts the records of specs that were asked for.
func planned(specs []Spec) int {
	n := 0
	for _, s := range specs {
		if s.Reason != FilteredOut {
			n++
		}
	}
	return n
}

// findingsOf is a copy: a conclusion changes no record.
func findingsOf(specs []Spec) []Finding {
	var all []Finding
	for _, s := range specs {
		all = append(all, s.Findings...)
	}
	return all
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
