package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/report"
)

// wire puts the harness around the suite's specs.
func (s *suite) wire() {
	ginkgo.ReportBeforeSuite(func(r ginkgo.Report) { s.check(s.beginRun(r)) })
	ginkgo.SynchronizedBeforeSuite(
		func() []byte { return []byte(s.store.Dir()) },
		func(dir []byte) { s.check(s.join(string(dir))) },
	)
	ginkgo.SynchronizedAfterSuite(func(ctx ginkgo.SpecContext) { s.check(s.labs.down(ctx)) }, func() {}, ginkgo.NodeTimeout(downWithin))

	ginkgo.ReportBeforeEach(s.beginSpec)
	ginkgo.JustAfterEach(s.closeSpec, ginkgo.NodeTimeout(collectWithin+10*time.Second))
	ginkgo.ReportAfterEach(s.endSpec)
	ginkgo.ReportAfterSuite("the run's report", s.endRun)
}

func (s *suite) check(err error) {
	if err != nil {
		s.fail(evidence.CodeCouldNotTest.String()+": "+err.Error(), 1)
	}
}

// beginRun makes the run's folder, on process 1, before anything else and even
// when a filter leaves no spec.
func (s *suite) beginRun(r ginkgo.Report) error {
	if r.SuiteConfig.DryRun {
		return nil
	}
	store, err := s.folder()
	if err != nil {
		return err
	}
	s.store = store
	s.planned = r.PreRunStats.SpecsThatWillRun
	seed := runSeed()
	fmt.Printf("seed %d, evidence in %s\n", seed, store.Dir())
	return store.Update(func(run *evidence.Run) {
		run.Ended = time.Time{}
		run.Site, run.SiteDir, run.SiteHash, run.About = s.site.Name, s.site.Dir, s.site.Hash(), s.site.About
		run.Seed = seed
		if run.Repeat == "" {
			run.Repeat = s.repeat(r.SuiteConfig)
		}
		if run.Filter == "" {
			run.Filter = filterOf(r.SuiteConfig)
		}
		run.Waivers = evidence.Waivers(s.site)
		run.Undecided = nil
		for _, u := range s.site.Promises.Undecided {
			run.Undecided = append(run.Undecided, u.Name)
		}
		set(&run.Minimum, s.name, s.minimum(s.site))
		run.Planned += s.planned - run.PlannedBy[s.name]
		set(&run.PlannedBy, s.name, s.planned)
	})
}

func set(m *map[string]int, key string, value int) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key] = value
}

// folder is the folder that was given, or a new one in the module's runs/.
func (s *suite) folder() (*evidence.Store, error) {
	if *runDirFlag == "" {
		runs, err := below("runs")
		if err != nil {
			return nil, err
		}
		return evidence.Create(runs, s.site.Name, clock())
	}
	dir, err := below(*runDirFlag)
	if err != nil {
		return nil, err
	}
	store, err := evidence.Open(dir)
	if err != nil {
		return nil, err
	}
	return store, store.Update(func(r *evidence.Run) {
		if r.ID == "" {
			r.ID, r.Started = filepath.Base(dir), clock().UTC()
		}
	})
}

func (s *suite) join(dir string) (err error) {
	if s.store == nil {
		s.store, err = evidence.Open(dir)
	}
	return err
}

// repeat is the command line that does the same again.
func (s *suite) repeat(c types.SuiteConfig) string {
	words := []string{"go", "tool", "ginkgo", "run", fmt.Sprintf("--seed=%d", c.RandomSeed)}
	for _, choice := range []struct {
		option string
		values []string
	}{{"--focus", c.FocusStrings}, {"--skip", c.SkipStrings}, {"--focus-file", c.FocusFiles}, {"--skip-file", c.SkipFiles}} {
		for _, value := range choice.values {
			words = append(words, choice.option+"="+quoted(value))
		}
	}
	if c.LabelFilter != "" {
		words = append(words, "--label-filter="+quoted(c.LabelFilter))
	}
	return strings.Join(append(words, "./suites/"+s.name, "--", "--site="+quoted(shown(s.site.Dir)), fmt.Sprintf("--seed=%d", runSeed())), " ")
}

func quoted(word string) string {
	if strings.IndexFunc(word, func(c rune) bool { return !strings.ContainsRune("/._-=,:+@", c) && !isPlain(c) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// filterOf is what was asked for, "" if it is everything.
func filterOf(c types.SuiteConfig) string {
	var parts []string
	if c.LabelFilter != "" {
		parts = append(parts, c.LabelFilter)
	}
	for _, list := range [][]string{c.FocusStrings, c.FocusFiles} {
		for _, value := range list {
			parts = append(parts, "focus "+value)
		}
	}
	for _, list := range [][]string{c.SkipStrings, c.SkipFiles} {
		for _, value := range list {
			parts = append(parts, "skip "+value)
		}
	}
	return strings.Join(parts, ", ")
}

// endRun ends the suite's part of the run, on process 1: it writes the report
// and fails where ginkgo alone would be content.
func (s *suite) endRun(r ginkgo.Report) {
	if r.SuiteConfig.DryRun || s.store == nil {
		return
	}
	s.check(s.store.Update(func(run *evidence.Run) {
		run.Ended = clock().UTC()
		run.Interrupted = run.Interrupted || interrupted(r)
		run.Trouble = append(run.Trouble, s.troubles(r)...)
	}))
	whole, err := report.Write(s.store.Dir())
	s.check(err)
	s.outcome = s.conclude(whole)
	if *runDirFlag == "" {
		s.check(report.Summary(os.Stdout, whole.As(shown(s.store.Dir())), false))
	}
	if r.SuiteConfig.ParallelTotal > 1 {
		// Here ginkgo still shows what is printed; after the suite it does not.
		fmt.Println(lastLine(s.outcome.Code))
	}
	s.check(s.store.Close())
	if s.outcome.Code != evidence.CodeHeld {
		s.fail(fmt.Sprintf("%s (%d): %s", s.outcome.Word, int(s.outcome.Code), strings.Join(s.outcome.Reasons, "; ")))
	}
}

// conclude is the outcome as far as this suite goes: others may have written
// to the same run.
func (s *suite) conclude(whole report.Report) evidence.Outcome {
	run := whole.Run
	run.Minimum = map[string]int{s.name: run.Minimum[s.name]}
	run.Planned = run.PlannedBy[s.name]
	run.Trouble = nil
	for _, text := range whole.Run.Trouble {
		if strings.HasPrefix(text, s.name+": ") {
			run.Trouble = append(run.Trouble, text)
		}
	}
	var specs []evidence.Spec
	for _, spec := range whole.Specs {
		if spec.Suite == s.name {
			specs = append(specs, spec)
		}
	}
	return evidence.Conclude(run, specs, run.Ended)
}

// interrupted says whether the run was ended from outside.
func interrupted(r ginkgo.Report) bool {
	for _, reason := range r.SpecialSuiteFailureReasons {
		if strings.HasPrefix(reason, "Interrupted by") {
			return true
		}
	}
	return r.SpecReports.CountWithState(types.SpecStateInterrupted) > 0
}

// troubles is what failed around the specs. A failed BeforeSuite has no spec
// to be told by.
func (s *suite) troubles(r ginkgo.Report) []string {
	var all []string
	for _, spec := range r.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt && spec.Failed() {
			all = append(all, fmt.Sprintf("%s: %s: %s", s.name, spec.LeafNodeType, spec.Failure.Message))
		}
	}
	for _, reason := range r.SpecialSuiteFailureReasons {
		if !strings.HasPrefix(reason, "Interrupted by") {
			all = append(all, s.name+": "+reason)
		}
	}
	return all
}

// While the run goes on, the report is made anew when it is this old and
// reportShare times as old as it takes to make: it must not slow the run.
const (
	reportEvery = 3 * time.Second
	reportShare = 20
)

// refresh makes the report anew if it is old. Any process may: it is made from
// the folder and replaced whole.
func (s *suite) refresh() error {
	about, err := os.Stat(filepath.Join(s.store.Dir(), report.HTML))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && time.Since(about.ModTime()) < max(reportEvery, reportShare*s.reportTook) {
		return nil
	}
	began := time.Now()
	_, err = report.Write(s.store.Dir())
	s.reportTook = time.Since(began)
	return err
}
