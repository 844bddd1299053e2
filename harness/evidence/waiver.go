package evidence

import (
	"fmt"
	"slices"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Stale is a waiver that must go, or a part of one: it has expired, or what it
// waives is not there any more. It fails the run.
type Stale struct {
	Waiver Waiver `json:"waiver"`
	Flow   string `json:"flow,omitempty"` // "": the waiver as a whole
	Text   string `json:"text"`
}

func (s Stale) String() string {
	return fmt.Sprintf("%s: waiver of %s: %s", s.Waiver.At, s.Waiver.Promise, s.Text)
}

// Expired says whether the waiver's last day is over.
func (w Waiver) Expired(now time.Time) bool {
	return !now.UTC().Before(w.Until.UTC().AddDate(0, 0, 1))
}

// Waives says whether the finding is the one that the waiver names, on the
// letter.
func (w Waiver) Waives(f Finding) bool {
	return w.Promise == f.Promise && w.Seen == f.Seen && w.Cause == f.Cause && slices.Contains(w.Flows, f.Flow)
}

// Waive finds the waiver of a finding, nil if there is none that still counts.
func Waive(f Finding, waivers []Waiver, now time.Time) *topology.Position {
	for _, w := range waivers {
		if w.Waives(f) && !w.Expired(now) {
			at := w.At
			return &at
		}
	}
	return nil
}

// Judged is what a run has looked at. A waiver for something that it has not
// looked at is neither used nor stale.
type Judged struct {
	subjects map[[2]string]bool // promise, flow or subject
	whole    map[string]bool    // promises of which nothing was left out
}

// JudgedBy is what the specs looked at. A promise is judged as a whole when
// none of its suites left anything out: filtered, skipped, not testable,
// interrupted.
func JudgedBy(specs []Spec) Judged {
	j := Judged{subjects: map[[2]string]bool{}, whole: map[string]bool{}}
	partial := map[string]bool{}
	for _, s := range specs {
		if s.State == Skipped || s.State == CouldNotTest || s.State == Interrupted {
			partial[s.Suite] = true
		}
	}
	left := map[string]bool{}
	for _, s := range specs {
		for _, promise := range j.take(s) {
			left[promise] = left[promise] || partial[s.Suite]
			j.whole[promise] = !left[promise]
		}
	}
	return j
}

// take notes what one spec judged and returns its promises.
func (j Judged) take(s Spec) []string {
	var promises []string
	note := func(promise, subject string) {
		if promise == "" {
			promise = s.Promise
		}
		if promise != "" {
			j.subjects[[2]string{promise, subject}] = true
			promises = append(promises, promise)
		}
	}
	for _, r := range s.Rows {
		if r.Saw != unknown {
			note(r.Promise, r.Flow())
		}
	}
	for _, f := range s.Findings {
		note(f.Promise, f.Flow)
	}
	if s.State == Held || s.State == Failed || s.State == Waived {
		for _, subject := range s.Subjects {
			note("", subject)
		}
	}
	return promises
}

// unknown is the verdict that never satisfies anything; package flow has it as
// a constant, and depends on nothing here.
const unknown = "unknown"

// Apply marks the findings that waivers cover and returns the waivers that are
// stale, in the site's order.
func Apply(findings []Finding, waivers []Waiver, judged Judged, now time.Time) []Stale {
	var stale []Stale
	for _, w := range waivers {
		if w.Expired(now) {
			stale = append(stale, Stale{Waiver: w, Text: "it expired on " + w.Until.UTC().Format(time.DateOnly) + ": " + w.Because})
			continue
		}
		for _, flow := range w.Flows {
			if s, is := w.staleFor(flow, findings, judged); is {
				stale = append(stale, s)
			}
		}
	}
	for i := range findings {
		findings[i].Waiver = Waive(findings[i], waivers, now)
	}
	return stale
}

func (w Waiver) staleFor(flow string, findings []Finding, judged Judged) (Stale, bool) {
	s := Stale{Waiver: w, Flow: flow}
	var other *Finding
	for i, f := range findings {
		if f.Flow != flow || f.Promise != w.Promise {
			continue
		}
		if w.Waives(f) {
			return Stale{}, false
		}
		other = &findings[i]
	}
	switch {
	case other != nil:
		s.Text = fmt.Sprintf("%s: the finding is another one now: seen %q because %q; the waiver says %q because %q", flow, other.Seen, other.Cause, w.Seen, w.Cause)
	case judged.subjects[[2]string{w.Promise, flow}]:
		s.Text = flow + ": the promise holds now; take the waiver out"
	case judged.whole[w.Promise]:
		s.Text = flow + ": nothing of this name was judged; write it as a finding prints it"
	default:
		return Stale{}, false
	}
	return s, true
}
