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
	interrupted := ctx.Err() != nil
	err := store.Update(func(r *evidence.Run) {
		if r.Ended.IsZero() {
			r.Ended = time.Now().UTC()
		}
		r.Interrupted = r.Interrupted || interrupted
	})
	if err != nil {
		return failure{CouldNotTest, err}
	}
	run, specs, err := evidence.Read(d.dir)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	outcome := evidence.Conclude(run, specs, time.Now())
	if outcome.Code == evidence.CodeHeld && code != 0 {
		// a red run whose records are green: something failed outside of the specs
		trouble := fmt.Sprintf("ginkgo ended with %d, and no record says why", code)
		if err := store.Update(func(r *evidence.Run) { r.Trouble = append(r.Trouble, trouble) }); err != nil {
			return failure{CouldNotTest, err}
		}
	}
	if len(specs) == 0 && code != 0 && !interrupted && !d.verbose {
		fmt.Fprintf(a.err, "%s\n", strings.TrimSpace(output.String()))
	}
	return a.conclusion(d.dir, d.junit)
}

// conclusion writes the report of a run again and prints its summary. It is all
// that is needed of a run whose processes are gone.
func (a *app) conclusion(dir, junit string) error {
	run, specs, err := evidence.Read(dir)
	if err != nil {
		return failure{CouldNotTest, err}
	}
	outcome := evidence.Conclude(run, specs, time.Now())
	page, reported := a.report(dir, run, specs, outcome)
	if junit != "" {
		reported = errors.Join(reported, copyFile(filepath.Join(dir, "junit.xml"), junit))
	}
	result := drilled{Code: Code(outcome.Code), Meaning: Code(outcome.Code).String(), Run: dir, Report: page, Repeat: run.Repeat, Outcome: outcome}
	for _, s := range specs {
		result.Findings = append(result.Findings, s.Findings...)
	}
	err = a.print(result, func() {
		a.summary(dir, run, specs, outcome)
		fmt.Fprintf(a.out, "exit %d: %s\n", outcome.Code, Code(outcome.Code))
	})
	if err := errors.Join(err, reported); err != nil {
		// the verdict stands, and somebody has to look
		fmt.Fprintln(a.err, "pbsdrill:", err)
		if outcome.Code == evidence.CodeHeld {
			return exit(CouldNotTest)
		}
	}
	if outcome.Code == evidence.CodeHeld {
		return nil
	}
	return exit(outcome.Code)
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
