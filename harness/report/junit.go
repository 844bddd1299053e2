package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
	took       time.Duration
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Time    string       `xml:"time,attr"`
	Failure *junitResult `xml:"failure,omitempty"`
	Error   *junitResult `xml:"error,omitempty"`
	Skipped *junitResult `xml:"skipped,omitempty"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junit is the run for continuous integration. What could not be tested is an
// error, since a build must not be green on it; and the run's own outcome is a
// case, so that a file without a failure or an error is a run that held.
func (r Report) junit(out *bytes.Buffer) error {
	all := junitSuites{Name: r.Run.ID}
	byName := map[string]int{}
	for _, s := range r.Specs {
		i, known := byName[s.Suite]
		if !known {
			i = len(all.Suites)
			byName[s.Suite] = i
			all.Suites = append(all.Suites, junitSuite{Name: s.Suite, Timestamp: stamp(s.Started), Properties: r.properties()})
		}
		all.Suites[i].add(r.junitCase(s), s.Took)
	}
	whole := junitSuite{Name: "run", Timestamp: stamp(r.Run.Started), Properties: r.properties()}
	whole.add(r.junitOutcome(), 0)
	all.Suites = append(all.Suites, whole)
	for _, s := range all.Suites {
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
	}
	all.Time = seconds(r.took())
	out.WriteString(xml.Header)
	e := xml.NewEncoder(out)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	out.WriteString("\n")
	return nil
}

func (s *junitSuite) add(c junitCase, took time.Duration) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.took += took
	s.Time = seconds(s.took)
}

func (r Report) junitCase(s evidence.Spec) junitCase {
	c := junitCase{Class: s.Suite, Name: fmt.Sprintf("%s [%04d]", s.Name, s.Number), Time: seconds(s.Took)}
	result := &junitResult{Message: s.Reason, Type: string(s.State), Text: r.redLines(s)}
	switch s.State {
	case evidence.Held:
	case evidence.Waived:
		c.Out = "waived:\n" + r.redLines(s)
	case evidence.Failed:
		if result.Message == "" && len(s.Findings) > 0 {
			result.Message = s.Findings[0].Promise + ": " + s.Findings[0].Title
		}
		c.Failure = result
	case evidence.Skipped:
		c.Skipped = &junitResult{Message: s.Reason}
	default:
		c.Error = result
	}
	return c
}

func (r Report) redLines(s evidence.Spec) string {
	var lines []string
	for _, f := range s.Findings {
		lines = append(lines, RedLine(f, r.Run.ID, false))
	}
	return strings.Join(lines, "\n")
}

func (r Report) junitOutcome() junitCase {
	c := junitCase{Class: "run", Name: "the run as a whole", Time: "0.000"}
	result := &junitResult{Message: strings.Join(r.Outcome.Reasons, "; "), Type: r.Outcome.Word}
	switch r.Outcome.Code {
	case evidence.CodeHeld:
	case evidence.CodeFailed:
		c.Failure = result
	default:
		c.Error = result
	}
	return c
}

func (r Report) properties() []junitProperty {
	f := r.Run.Facts
	return []junitProperty{
		{"site", r.Run.Site}, {"seed", fmt.Sprint(r.Run.Seed)}, {"repeat", r.Run.Repeat},
		{"driver", f.Driver}, {"boot", f.Boot}, {"wireguard", f.WireGuard}, {"rootfs", f.RootFS},
	}
}

// took is how long the run took, or has taken by its last spec.
func (r Report) took() time.Duration {
	end := r.Run.Ended
	for _, s := range r.Specs {
		if t := s.Started.Add(s.Took); t.After(end) {
			end = t
		}
	}
	return max(0, end.Sub(r.Run.Started))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}
