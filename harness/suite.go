package harness

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// suite is the suite that this process runs: a test binary has one.
type suite struct {
	name       string
	minimum    func(*topology.Site) int
	site       *topology.Site
	store      *evidence.Store // nil until the run has a folder
	planned    int             // specs that this suite was to run, on process 1
	outcome    evidence.Outcome
	reportTook time.Duration // the last time that this process made it
	session    atomic.Pointer[session]
	labs       labs
}

var self *suite

// Option changes a suite.
type Option func(*suite)

// Minimum is how many flows the suite must have judged at least; with fewer
// the run could not test.
func Minimum(flows int) Option {
	return MinimumOf(func(*topology.Site) int { return flows })
}

// MinimumOf is Minimum where it depends on the site.
func MinimumOf(flows func(*topology.Site) int) Option {
	return func(s *suite) { s.minimum = flows }
}

// clock is replaced by tests.
var clock = time.Now

// RunSuite runs the specs of this test binary as the suite of that name, on
// the site of --site. Name is the name of the suite's folder, and a label of
// every spec.
func RunSuite(t *testing.T, name string, options ...Option) {
	t.Helper()
	if !asked() {
		t.Skipf("the suite %s needs a site and runs through ginkgo, make or pbsdrill: ginkgo run ./suites/%s -- --site=FOLDER", name, name)
	}
	s := &suite{name: name, minimum: func(*topology.Site) int { return 0 }}
	for _, option := range options {
		option(s)
	}
	site, err := loadSite()
	if err != nil {
		s.giveUp(t, err)
	}
	s.site = site
	self = s
	gomega.RegisterFailHandler(s.fail)
	gomega.EnforceDefaultTimeoutsWhenUsingContexts()
	s.wire()
	passed := ginkgo.RunSpecs(t, name, ginkgo.Label(name))
	s.last(passed)
}

// Site is the site of this run. It may be used while the specs are listed,
// inside a container's function.
func Site() *topology.Site {
	if self == nil {
		return &topology.Site{} // outside of a suite nothing is promised
	}
	return self.site
}

func loadSite() (*topology.Site, error) {
	if *siteFlag == "" {
		return nil, fmt.Errorf("no site was given; say which: ginkgo run ./suites/... -- --site=FOLDER")
	}
	dir, err := below(*siteFlag)
	if err != nil {
		return nil, fmt.Errorf("find the site %s: %w", *siteFlag, err)
	}
	return topology.Load(dir)
}

// giveUp ends a suite that never began. Where the run has a folder already,
// its report says so.
func (s *suite) giveUp(t *testing.T, cause error) {
	t.Helper()
	if *runDirFlag != "" && first() {
		if err := s.trouble(cause); err != nil {
			t.Error(err)
		}
	}
	if first() {
		t.Errorf("%s: %s:\n%v", s.name, evidence.CodeCouldNotTest, cause)
		fmt.Println(lastLine(evidence.CodeCouldNotTest))
	}
	t.FailNow()
}

func (s *suite) trouble(cause error) error {
	dir, err := below(*runDirFlag)
	if err != nil {
		return err
	}
	store, err := evidence.Open(dir)
	if err != nil {
		return err
	}
	return store.Update(func(r *evidence.Run) {
		r.Trouble = append(r.Trouble, s.name+": "+cause.Error())
	})
}

// last prints what ginkgo's exit code cannot say.
func (s *suite) last(passed bool) {
	config, _ := ginkgo.GinkgoConfiguration()
	if !first() || config.DryRun {
		return
	}
	code := s.outcome.Code
	if !passed && code == evidence.CodeHeld {
		code = evidence.CodeCouldNotTest
	}
	fmt.Println(lastLine(code))
}

func lastLine(code evidence.Code) string {
	return fmt.Sprintf("\n%s (%d)", code, int(code))
}

// first says whether this is the process that speaks for all.
func first() bool {
	config, _ := ginkgo.GinkgoConfiguration()
	return config.ParallelProcess <= 1
}

func dryRun() bool {
	config, _ := ginkgo.GinkgoConfiguration()
	return config.DryRun
}

// fail is gomega's way to ginkgo. Both print to the terminal and to logs, so
// the lab's secrets are taken out here.
func (s *suite) fail(message string, skip ...int) {
	if s.store != nil {
		message = s.store.Redactor().String(message)
	}
	depth := 1
	if len(skip) > 0 {
		depth += skip[0]
	}
	ginkgo.Fail(message, depth)
}
