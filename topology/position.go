package topology

import (
	"fmt"
	"sort"
	"strings"
)

// Position is a place in one of a site's files. Line and Column count from 1;
// zero means the file as a whole.
type Position struct {
	File   string `json:"file"` // relative to the site's folder
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with a site.
type Problem struct {
	Position Position `json:"position"`
	Path     string   `json:"path,omitempty"` // where in the document, such as nodes.vps.on
	Text     string   `json:"text"`           // what is wrong and the way out
}

func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s: %s", p.Position, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Position, p.Path, p.Text)
}

// Problems is every problem of a site, sorted by file, line and column. It is
// the error that [Load] returns.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sort orders the problems by file, line, column and text.
func (ps Problems) Sort() {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		switch {
		case a.Position.File != b.Position.File:
			return a.Position.File < b.Position.File
		case a.Position.Line != b.Position.Line:
			return a.Position.Line < b.Position.Line
		case a.Position.Column != b.Position.Column:
			return a.Position.Column < b.Position.Column
		}
		return a.Text < b.Text
	})
}
