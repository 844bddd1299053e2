package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

var (
	//go:embed page/report.gohtml
	pageText string
	//go:embed page/style.css
	pageStyle string
	//go:embed page/filter.js
	pageScript string
)

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"count": count, "subject": subject, "seen": seen, "mark": mark, "class": class,
	"date":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"took":  took,
	"style": func() template.CSS { return template.CSS(pageStyle) },
	"script": func() template.JS {
		return template.JS(pageScript)
	},
	"base": path.Base,
}).Parse(pageText))

// html is the page: one file, nothing from elsewhere, readable without
// scripts.
func (r Report) html(out *bytes.Buffer) error {
	return page.Execute(out, view{
		Report:   r,
		Findings: groups(r, false),
		Waived:   groups(r, true),
		Matrix:   newMatrix(r.Specs),
		Suites:   r.suites(),
		Skips:    skips(r),
		Timeline: newTimeline(r),
	})
}

type view struct {
	Report
	Findings []*Group
	Waived   []*Group
	Matrix   matrix
	Suites   []suite
	Skips    []skip
	Timeline timeline
}

// Running says whether the page will be another one soon.
func (v view) Running() bool { return v.Run.Ended.IsZero() && !v.Run.Interrupted }

// Headline is the verdict in a sentence.
func (v view) Headline() string {
	switch o := v.Outcome; {
	case v.Running():
		return "Under way"
	case o.Code == evidence.CodeHeld:
		return "Every promise that was judged holds"
	case o.Code == evidence.CodeFailed && o.Failed == 0:
		return "The waivers need attention"
	case o.Code == evidence.CodeFailed:
		return plural(o.Failed, "A promise does not hold", "%d promises do not hold")
	case o.Code == evidence.CodeInterrupted:
		return "Interrupted"
	}
	return "Could not test"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

// Tone is the colour of the verdict.
func (v view) Tone() string {
	switch {
	case v.Running():
		return "running"
	case v.Outcome.Code == evidence.CodeHeld:
		return "held"
	case v.Outcome.Code == evidence.CodeFailed:
		return "failed"
	}
	return "untested"
}

// Untested are the specs that ended without an answer.
func (v view) Untested() []blank { return untested(v.Report) }

// Took is how long the run took.
func (v view) Took() string { return took(v.took()) }

func took(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// suite is the specs of one suite with how much it judged.
type suite struct {
	Name    string
	Judged  int
	Minimum int
	Specs   []evidence.Spec
	Counts  []stateCount
}

type stateCount struct {
	State evidence.State
	Count int
}

// Short says that the suite judged less than it had to.
func (s suite) Short() bool { return s.Judged < s.Minimum }

func (r Report) suites() []suite {
	byName := map[string]*suite{}
	for name, least := range r.Run.Minimum {
		byName[name] = &suite{Name: name, Minimum: least}
	}
	for _, s := range r.Specs {
		if byName[s.Suite] == nil {
			byName[s.Suite] = &suite{Name: s.Suite}
		}
		u := byName[s.Suite]
		u.Specs = append(u.Specs, s)
		u.add(s.State)
	}
	for name, n := range evidence.JudgedFlows(r.Specs) {
		byName[name].Judged = n
	}
	all := make([]suite, 0, len(byName))
	for _, u := range byName {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b suite) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *suite) add(state evidence.State) {
	for i := range s.Counts {
		if s.Counts[i].State == state {
			s.Counts[i].Count++
			return
		}
	}
	s.Counts = append(s.Counts, stateCount{state, 1})
}

// mark is a state as a sign, so that colour is never the only difference.
func mark(s evidence.State) string {
	switch s {
	case evidence.Held:
		return "✔"
	case evidence.Failed:
		return "✘"
	case evidence.Waived:
		return "~"
	case evidence.Skipped:
		return "–"
	case evidence.Interrupted:
		return "!"
	}
	return "?"
}

// class is a state as a name of the style sheet.
func class(s evidence.State) string { return strings.ReplaceAll(string(s), " ", "-") }

// Files are the evidence of a spec, as paths below the run's folder.
func (v view) Files(s evidence.Spec) []string {
	if s.Folder == "" {
		return nil
	}
	var files []string
	err := fs.WalkDir(os.DirFS(v.dir), s.Folder, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return nil // what has gone cannot be linked
	})
	if err != nil {
		return nil
	}
	return files
}
