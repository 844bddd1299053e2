package report

import (
	"regexp"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// Group is the findings that have one cause: they are told once, with all
// their flows.
type Group struct {
	First    evidence.Finding
	Findings []evidence.Finding
	Because  string    // of the waiver
	Until    time.Time // of the waiver
}

// groups are the findings of a run, waived or not, in the order in which they
// first came.
func groups(r Report, waived bool) []*Group {
	type key struct{ promise, title, expected, seen, cause, change, waiver string }
	index := map[key]*Group{}
	var all []*Group
	for _, s := range r.Specs {
		for _, f := range s.Findings {
			if (f.Waiver != nil) != waived {
				continue
			}
			if f.Evidence == "" {
				f.Evidence = s.Folder
			}
			k := key{f.Promise, f.Title, f.Expected, f.Seen, f.Cause, f.Change, ""}
			if f.Waiver != nil {
				k.waiver = f.Waiver.String()
			}
			g := index[k]
			if g == nil {
				g = &Group{First: f}
				index[k] = g
				all = append(all, g)
			}
			g.Findings = append(g.Findings, f)
		}
	}
	for _, g := range all {
		g.waive(r.Run.Waivers)
	}
	return all
}

func (g *Group) waive(waivers []evidence.Waiver) {
	for _, w := range waivers {
		if g.First.Waiver != nil && w.At == *g.First.Waiver {
			g.Because, g.Until = w.Because, w.Until
		}
	}
}

var flowText = regexp.MustCompile(`^(\S+) -> (\S+) over (\S+) (\S+) (.+)$`)

// subject is the flow of a finding as a person reads it:
// "stranger → vps [2001:db8:20::1]:8007 pbs".
func subject(f evidence.Finding) string {
	if m := flowText.FindStringSubmatch(f.Flow); m != nil && f.Address != "" {
		return m[1] + " → " + m[2] + " " + f.Address + " " + m[4]
	}
	return strings.ReplaceAll(f.Flow, " -> ", " → ")
}

func seen(f evidence.Finding) string {
	if f.Detail == "" {
		return f.Seen
	}
	return f.Seen + ", " + fingerprint.ReplaceAllString(f.Detail, "$1…")
}

// fingerprint is one in full, of which the first bytes tell enough; the record
// keeps the rest.
var fingerprint = regexp.MustCompile(`((?:[0-9A-Fa-f]{2}:){3}[0-9A-Fa-f]{2})(?::[0-9A-Fa-f]{2}){12,}`)

// Shown are the findings whose flows the page names at once.
func (g *Group) Shown() []evidence.Finding { return g.Findings[:g.cut()] }

// Folded are the others.
func (g *Group) Folded() []evidence.Finding { return g.Findings[g.cut():] }

func (g *Group) cut() int {
	if len(g.Findings) <= flowsShown+1 {
		return len(g.Findings)
	}
	return flowsShown
}
