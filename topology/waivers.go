package topology

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// promiseNames are what a finding, and so a waiver, can be about: the keys of
// promises that this release judges.
var promiseNames = []string{"reach", "silent", "limits", "logins", "leaves", "persist", "parity"}

// flowText is a flow as a finding prints it.
var flowText = regexp.MustCompile(`^(\S+) -> (\S+)(?: over (\S+))? (\S+) (ipv4|ipv6|ipv6 link-local)$`)

func (l *loader) waivers() {
	seen := map[string]Position{}
	for _, e := range l.doc.Waivers {
		if !e.given() {
			continue
		}
		w := Waiver{Promise: e.Promise.Text, Seen: e.Seen.Text, Cause: e.Cause.Text, Because: e.Because.Text, At: e.At}
		if e.Promise.given() && !slices.Contains(promiseNames, w.Promise) {
			l.problem(e.Promise.At, e.Promise.Path, "promise %q is not known%s", short(w.Promise), wayOut(w.Promise, promiseNames))
		}
		for _, f := range e.Flow.List {
			l.waived(f)
			w.Flows = append(w.Flows, f.Text)
			key := w.Promise + "\n" + f.Text + "\n" + w.Seen + "\n" + w.Cause
			if first, twice := seen[key]; twice {
				l.problem(f.At, f.Path, "is waived in line %d already", first.Line)
			}
			seen[key] = f.At
		}
		for _, text := range []word{e.Seen, e.Cause, e.Because} {
			if text.given() && strings.TrimSpace(text.Text) == "" {
				l.problem(text.At, text.Path, "is empty")
			}
		}
		if e.Until.given() {
			until, err := time.Parse(time.DateOnly, e.Until.Text)
			if err != nil {
				l.problem(e.Until.At, e.Until.Path, "%q is no date such as 2027-06-30", short(e.Until.Text))
			}
			w.Until = until
		}
		l.site.Waivers = append(l.site.Waivers, w)
	}
}

// waived checks the names in a waived flow. Findings that are about no flow
// name their subject in words of their own; those are compared when they show.
func (l *loader) waived(w word) {
	m := flowText.FindStringSubmatchIndex(w.Text)
	if m == nil {
		return
	}
	part := func(i int) (string, int) { return w.Text[m[2*i]:m[2*i+1]], m[2*i] }
	for _, i := range []int{1, 2} {
		text, offset := part(i)
		l.nodeKnown(w, text, offset)
	}
	if m[6] >= 0 {
		text, offset := part(3)
		l.networkKnown(w, text, offset)
	}
	text, offset := part(4)
	l.serviceKnown(w, text, offset)
}
