package report

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// Summary is a run on a terminal: the red lines, what could not be tested, and
// last the counts and the report's path.
func Summary(w io.Writer, r Report, colour bool) error {
	p := paint(colour)
	var out strings.Builder
	for _, g := range groups(r, false) {
		out.WriteString(g.redLine(p, r.Path()) + "\n")
	}
	for _, s := range r.Specs {
		otherRed(&out, p, s)
	}
	for _, s := range r.Outcome.Stale {
		fmt.Fprintf(&out, "%s\n", p.red("✘ "+s.String()))
	}
	waivedLines(&out, p, r)
	untestedLines(&out, p, r)
	verdictLines(&out, p, r)
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("print the summary: %w", err)
	}
	return nil
}

// otherRed tells of a spec that failed without a finding.
func otherRed(out *strings.Builder, p paint, s evidence.Spec) {
	if s.State == evidence.Failed && len(s.Findings) == 0 {
		fmt.Fprintf(out, "%s\n", p.red("✘ "+s.Suite+": "+s.Name))
		line(out, p, "because", s.Reason)
		line(out, p, "evidence", s.Folder)
		out.WriteString("\n")
	}
}

func waivedLines(out *strings.Builder, p paint, r Report) {
	for _, g := range groups(r, true) {
		f := g.First
		fmt.Fprintf(out, "%s %s\n", p.yellow("~ waived: "+f.Promise+": "+f.Title), p.dim(fmt.Sprintf("(%s, until %s: %s)", count(len(g.Findings), "finding"), g.Until.Format(time.DateOnly), g.Because)))
		line(out, p, "because", f.Cause)
	}
}

func untestedLines(out *strings.Builder, p paint, r Report) {
	for _, u := range untested(r) {
		fmt.Fprintf(out, "%s\n", p.yellow("? "+string(u.State)+": "+u.Title()))
		line(out, p, "because", u.Reason)
	}
	for _, s := range skips(r) {
		if s.Reason != evidence.FilteredOut {
			fmt.Fprintf(out, "%s\n", p.dim(fmt.Sprintf("- skipped %s: %s", count(s.Count, "spec"), s.Reason)))
		}
	}
	if n := len(r.Run.Undecided); n > 0 {
		fmt.Fprintf(out, "%s\n", p.dim(fmt.Sprintf("- not judged by this release: %s", strings.Join(r.Run.Undecided, ", "))))
	}
}

func verdictLines(out *strings.Builder, p paint, r Report) {
	o := r.Outcome
	if out.Len() > 0 {
		out.WriteString("\n")
	}
	if o.Code != evidence.CodeHeld {
		fmt.Fprintf(out, "%s: %s\n", p.red(o.Word), strings.Join(o.Reasons, "; "))
	}
	counts := fmt.Sprintf("%s held, %d failed, %s waived, %d could not test, %d skipped",
		count(o.Held, "promise"), o.Failed, count(o.Waived, "finding"), o.CouldNotTest, o.Skipped)
	if n := o.Interrupted + o.NeverRan; n > 0 {
		counts += fmt.Sprintf(", %d not run to the end", n)
	}
	if o.Code == evidence.CodeHeld {
		counts = p.green(counts)
	}
	fmt.Fprintf(out, "%s\nreport  %s\n", counts, filepath.Join(r.Path(), HTML))
}

// blank is specs that ended without an answer, for one reason.
type blank struct {
	State  evidence.State
	Reason string
	Names  []string
}

// Title is the spec's name, or how many they are.
func (b blank) Title() string {
	if len(b.Names) == 1 {
		return b.Names[0]
	}
	return count(len(b.Names), "spec")
}

func untested(r Report) []blank {
	var all []blank
	for _, s := range r.Specs {
		if s.State != evidence.CouldNotTest && s.State != evidence.Interrupted {
			continue
		}
		i := slices.IndexFunc(all, func(b blank) bool { return b.State == s.State && b.Reason == s.Reason })
		if i < 0 {
			all = append(all, blank{State: s.State, Reason: s.Reason})
			i = len(all) - 1
		}
		all[i].Names = append(all[i].Names, s.Suite+": "+s.Name)
	}
	return all
}

// skip is why specs were skipped, and how many.
type skip struct {
	Reason string
	Count  int
	Names  []string
}

func skips(r Report) []skip {
	var all []skip
	for _, s := range r.Specs {
		if s.State != evidence.Skipped {
			continue
		}
		i := slices.IndexFunc(all, func(k skip) bool { return k.Reason == s.Reason })
		if i < 0 {
			all = append(all, skip{Reason: s.Reason})
			i = len(all) - 1
		}
		all[i].Count++
		all[i].Names = append(all[i].Names, s.Suite+": "+s.Name)
	}
	return all
}

// count is a number with its noun: 1 finding, 2 findings.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
