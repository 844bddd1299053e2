package report

import (
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// matrix is who can reach whom, by source and target.
type matrix struct {
	From, To []string
	Services []string // in the order of a cell's columns
	Pairs    []*pair
	byName   map[[2]string]*pair
}

// pair is one cell: all flows from one node to another, a line for each
// address of the target and a column for each service.
type pair struct {
	From, To string
	Lines    []*way
	Rows     []row
	Broken   int
	Waived   int
	Unknown  int
}

// way is one address of the target, by network and family.
type way struct {
	Over, Family string
	Squares      []*row // by service; nil where nothing was judged
}

// row is a judged flow and the spec that judged it.
type row struct {
	evidence.Row
	Folder string
}

// Class is the verdict as a name of the style sheet.
func (r row) Class() string {
	switch {
	case r.Saw == "unknown" || r.Saw == "":
		return "unknown"
	case r.Waived:
		return "waived"
	case !r.Met:
		return "broken"
	case r.Saw == "open":
		return "open"
	}
	return "closed"
}

// Sign is the verdict as a sign, for those who see no colours.
func (r row) Sign() string {
	switch r.Class() {
	case "unknown":
		return "?"
	case "waived":
		return "~"
	case "broken":
		return "✘"
	case "open":
		return "●"
	}
	return map[string]string{"refused": "×", "dropped": "·", "unreachable": "∅"}[r.Saw]
}

// Title is the verdict in a line.
func (r row) Title() string {
	title := r.Service + " over " + r.Over + " " + r.Family + ": " + r.Saw
	if !r.Met {
		title += ", promised " + r.Want
	}
	return title
}

// ID names the pair within the page.
func (p pair) ID() string { return "from-" + p.From + "-to-" + p.To }

// Cell is the pair of a place in the table, nil where nothing was judged.
func (m matrix) Cell(from, to string) *pair { return m.byName[[2]string{from, to}] }

func newMatrix(specs []evidence.Spec) matrix {
	m := matrix{byName: map[[2]string]*pair{}}
	for _, s := range specs {
		for _, r := range s.Rows {
			m.add(row{r, s.Folder})
		}
	}
	// Specs run in random order; a page of the same run looks the same.
	slices.Sort(m.From)
	slices.Sort(m.To)
	slices.SortFunc(m.Services, func(a, b string) int { return strings.Compare(last(a)+a, last(b)+b) })
	for _, p := range m.Pairs {
		p.arrange(m.Services)
	}
	slices.SortFunc(m.Pairs, func(a, b *pair) int { return strings.Compare(a.From+" "+a.To, b.From+" "+b.To) })
	return m
}

// Notable are the pairs of which something is to be said.
func (m matrix) Notable() []*pair { return m.pairs(true) }

// Quiet are the pairs of which everything is as promised.
func (m matrix) Quiet() []*pair { return m.pairs(false) }

func (m matrix) pairs(notable bool) []*pair {
	return slices.DeleteFunc(slices.Clone(m.Pairs), func(p *pair) bool {
		return (p.Broken+p.Waived+p.Unknown > 0) != notable
	})
}

func (m *matrix) add(r row) {
	m.From = once(m.From, r.From)
	m.To = once(m.To, r.To)
	m.Services = once(m.Services, r.Service)
	key := [2]string{r.From, r.To}
	p := m.byName[key]
	if p == nil {
		p = &pair{From: r.From, To: r.To}
		m.byName[key] = p
		m.Pairs = append(m.Pairs, p)
	}
	p.Rows = append(p.Rows, r)
}

// last sorts services that have no name of their own, such as udp/41752, after
// those that have: few lines have them.
func last(service string) string {
	if strings.Contains(service, "/") {
		return "~"
	}
	return ""
}

func once(all []string, name string) []string {
	if slices.Contains(all, name) {
		return all
	}
	return append(all, name)
}

// arrange sorts the rows and puts each into its place; of two verdicts about
// one flow the worse one shows.
func (p *pair) arrange(services []string) {
	slices.SortStableFunc(p.Rows, func(a, b row) int {
		if c := strings.Compare(a.Over+" "+a.Family, b.Over+" "+b.Family); c != 0 {
			return c
		}
		return slices.Index(services, a.Service) - slices.Index(services, b.Service)
	})
	for i := range p.Rows {
		r := &p.Rows[i]
		square := p.way(r.Over, r.Family, len(services)).at(slices.Index(services, r.Service))
		if *square == nil || badness(r) > badness(*square) {
			*square = r
		}
		p.tally(r)
	}
	for _, w := range p.Lines {
		for n := len(w.Squares); n > 0 && w.Squares[n-1] == nil; n-- {
			w.Squares = w.Squares[:n-1]
		}
	}
}

func (p *pair) way(over, family string, services int) *way {
	for _, w := range p.Lines {
		if w.Over == over && w.Family == family {
			return w
		}
	}
	w := &way{Over: over, Family: family, Squares: make([]*row, services)}
	p.Lines = append(p.Lines, w)
	return w
}

func (w *way) at(service int) **row { return &w.Squares[service] }

func badness(r *row) int {
	return slices.Index([]string{"closed", "open", "waived", "unknown", "broken"}, r.Class())
}

func (p *pair) tally(r *row) {
	switch r.Class() {
	case "broken":
		p.Broken++
	case "waived":
		p.Waived++
	case "unknown":
		p.Unknown++
	}
}
