package report

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// flowsShown is how many flows of one cause a red line names.
const flowsShown = 6

// RedLine is a finding as it is printed everywhere. Dir is the run's folder as
// the reader writes it.
func RedLine(f evidence.Finding, dir string, colour bool) string {
	g := &Group{First: f, Findings: []evidence.Finding{f}}
	return g.redLine(paint(colour), dir)
}

func (g *Group) redLine(p paint, dir string) string {
	f := g.First
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", p.red("✘ "+f.Promise+": "+f.Title))
	line(&out, p, "flow", g.subjects())
	line(&out, p, "expected", fmt.Sprintf("%-15s  %s  %s", f.Expected, p.dim("seen"), seen(f)))
	line(&out, p, "because", f.Cause)
	line(&out, p, "change", f.Change)
	line(&out, p, "evidence", g.where(p, dir))
	return out.String()
}

// subjects are the flows, one a line.
func (g *Group) subjects() string {
	var all []string
	known := map[string]bool{}
	for _, f := range g.Findings {
		if s := subject(f); !known[s] {
			known[s] = true
			all = append(all, s)
		}
	}
	if more := len(all) - flowsShown; more > 1 {
		all = append(all[:flowsShown], fmt.Sprintf("… and %d more", more))
	}
	return strings.Join(all, "\n")
}

func (g *Group) where(p paint, dir string) string {
	var parts []string
	if g.First.Evidence != "" {
		parts = append(parts, strings.TrimSuffix(dir, "/")+"/"+strings.TrimSuffix(g.First.Evidence, "/")+"/")
	}
	if g.First.Node != "" {
		parts = append(parts, p.dim("enter the lab:")+" pbsdrill lab shell "+g.First.Node)
	}
	return strings.Join(parts, "      ")
}

// line writes one field; further lines of its text stand below the first.
func line(out *strings.Builder, p paint, name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	text = strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", 14))
	fmt.Fprintf(out, "    %s%s%s\n", p.dim(name), strings.Repeat(" ", max(1, 10-len(name))), text)
}

// paint colours text or leaves it alone.
type paint bool

func (p paint) red(text string) string    { return p.with("31;1", text) }
func (p paint) green(text string) string  { return p.with("32;1", text) }
func (p paint) yellow(text string) string { return p.with("33;1", text) }
func (p paint) dim(text string) string    { return p.with("2", text) }

func (p paint) with(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Colour says whether a file takes colours: a terminal, unless NO_COLOR is set
// (https://no-color.org: to anything but nothing).
func Colour(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// RedLines are findings as a spec that fails prints them, one for each cause.
// Dir is the run's folder as the reader writes it.
func RedLines(findings []evidence.Finding, dir string) string {
	var lines []string
	for _, g := range groups(Report{Specs: []evidence.Spec{{Findings: findings}}}, false) {
		lines = append(lines, g.redLine(false, dir))
	}
	return strings.Join(lines, "\n")
}
