package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/report"
)

// drilled is what drill prints as JSON.
type drilled struct {
	Code     Code               `json:"code"`
	Meaning  string             `json:"meaning"`
	Run      string             `json:"run"`    // the run's folder
	Report   string             `json:"report"` // its page
	Repeat   string             `json:"repeat"`
	Outcome  evidence.Outcome   `json:"outcome"`
	Findings []evidence.Finding `json:"findings"`
}

// conclude says what the run came to, from its folder and from how ginkgo
// ended.
func (a *app) conclude(ctx context.Context, d drill, store *evidence.Store, code int, output *tail) error {
	defer store.Close() //nolint:errcheck // nothing is written any more
	run, specs, err := evidence.Read(d.dir)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	interrupted := ctx.Err() != nil
	trouble := unexplained(run, specs, code, interrupted)
	err = store.Update(func(r *evidence.Run) {
		if r.Ended.IsZero() {
			r.Ended = time.Now().UTC()
		}
		r.Interrupted = r.Interrupted || interrupted
		r.Trouble = append(r.Trouble, trouble...)
	})
	if err != nil {
		return failure{CouldNotTest, err}
	}
	if len(trouble) > 0 && !d.verbose {
		fmt.Fprintln(a.err, strings.TrimSpace(output.String()))
	}
	return a.conclusion(d.dir, d.junit)
}

// unexplained is what ginkgo's exit says and the records do not: a suite that
// does not compile, a set-up that died, a run that was red outside of its
// specs.
func unexplained(run evidence.Run, specs []evidence.Spec, code int, interrupted bool) []string {
	if code == 0 || interrupted || len(run.Trouble) > 0 {
		return nil
	}
	if run.Ended.IsZero() {
		run.Ended = time.Now()
	}
	if evidence.Conclude(run, specs, run.Ended).Code == evidence.CodeHeld || len(specs) == 0 {
		return []string{"the suites could not be built or started, or ended without a word"}
	}
	return nil
}

// conclusion writes the report of a run again and prints its summary. It is all
// that is needed of a run whose processes are gone.
func (a *app) conclusion(dir, junit string) error {
	r, err := report.Write(dir)
	if err != nil && r.Version == 0 {
		return failure{CouldNotTest, err}
	}
	if junit != "" {
		err = errors.Join(err, copyFile(filepath.Join(dir, report.JUnit), junit))
	}
	code := Code(r.Outcome.Code)
	result := drilled{Code: code, Meaning: code.String(), Run: dir, Report: filepath.Join(dir, report.HTML), Repeat: r.Run.Repeat,
		Outcome: r.Outcome, Findings: []evidence.Finding{}}
	for _, s := range r.Specs {
		result.Findings = append(result.Findings, s.Findings...)
	}
	err = errors.Join(err, a.print(result, func() {
		err = errors.Join(err, report.Summary(a.out, r, a.color))
		if r.Run.Repeat != "" {
			fmt.Fprintf(a.out, "again   %s\n", r.Run.Repeat)
		}
		fmt.Fprintf(a.out, "exit %d: %s\n", code, code)
	}))
	switch {
	case err != nil && code == Held:
		return failure{CouldNotTest, err} // it held, and there is no report to prove it
	case err != nil:
		fmt.Fprintln(a.err, "pbsdrill:", err)
	case code == Held:
		return nil
	}
	return exit(code)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return evidence.WriteFile(to, text)
}
