package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// The names of the reports in a run's folder.
const (
	HTML  = "report.html"
	JSON  = "report.json"
	JUnit = "junit.xml"
)

// Report is a run with what it comes to; report.json is its form.
type Report struct {
	Version int              `json:"version"` // evidence.Version
	Run     evidence.Run     `json:"run"`
	Outcome evidence.Outcome `json:"outcome"`
	Specs   []evidence.Spec  `json:"specs"`
	dir     string
	shown   string // the folder as the reader writes it, where that is not seen from here
}

// Load reads a run's folder and concludes.
func Load(dir string) (Report, error) {
	run, specs, err := evidence.Read(dir)
	if err != nil {
		return Report{}, fmt.Errorf("report on %s: %w", dir, err)
	}
	return Report{
		Version: evidence.Version,
		Run:     run,
		Outcome: evidence.Conclude(run, specs, concludedAt(run)),
		Specs:   evidence.Settled(run, specs, concludedAt(run)),
		dir:     dir,
	}, nil
}

// concludedAt is the moment as of which waivers count: a report that is made
// again later says the same.
func concludedAt(run evidence.Run) time.Time {
	if run.Ended.IsZero() {
		return time.Now()
	}
	return run.Ended
}

// Write makes all three reports of a run's folder. Each is replaced whole, so
// a reader never sees half of one, and it may be called while the run goes on.
func Write(dir string) (Report, error) {
	r, err := Load(dir)
	if err != nil {
		return Report{}, err
	}
	return r, errors.Join(
		r.put(JSON, r.json),
		r.put(JUnit, r.junit),
		r.put(HTML, r.html),
	)
}

func (r Report) put(name string, write func(*bytes.Buffer) error) error {
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return evidence.WriteFile(filepath.Join(r.dir, name), out.Bytes())
}

func (r Report) json(out *bytes.Buffer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Path is the run's folder as a person at this working directory writes it, or
// as As said.
func (r Report) Path() string {
	if r.shown != "" {
		return r.shown
	}
	return short(r.dir)
}

// As is the report with another way to write the run's folder: a test's
// working directory is not the reader's.
func (r Report) As(shown string) Report {
	r.shown = shown
	return r
}

func short(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	if rel, err := filepath.Rel(here, abs); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return abs
}
