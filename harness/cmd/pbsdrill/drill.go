package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// drill is one run of the suites on one site.
type drill struct {
	site   *topology.Site
	suites []string // names, without suites/
	// binaries are the built suites, in the order of suites
	binaries []string
	given    bool // the suites were chosen
	filter   string
	seed     uint64
	procs    int // zero: as many as there are processors
	limit    time.Duration
	dir      string // the run's folder
	junit    string // "" or where a copy of junit.xml goes
	driver   string
	dry      bool
	verbose  bool
	module   module
	ginkgo   string
}

// drivers are those that this release has.
var drivers = []string{"netns"}

func (a *app) drillCommand() *cobra.Command {
	d := drill{}
	var moduleDir string
	c := &cobra.Command{
		Use:   "drill SITE [SUITE…]",
		Short: "Run a site and judge its promises",
		Long: `Builds the suites, brings the site up, judges every promise, and keeps the
evidence in runs/<time>-<site>/. Ends with a summary, the path of the report,
and one of the exit codes of "pbsdrill --help".

Ctrl-C undoes what was made, reports what was found, and ends with 130.`,
		Example: `  pbsdrill drill fixtures/sites/homelab-vps
  pbsdrill drill fixtures/sites/homelab-vps firewall --label-filter='!slow'
  pbsdrill drill ~/my-house --junit=junit.xml --seed=4711
  pbsdrill drill ~/my-house --dry-run`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return named("SITE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.prepare(c, &d, moduleDir, args); err != nil {
				return err
			}
			if d.dry {
				return a.dryRun(c.Context(), d)
			}
			return a.drill(c.Context(), d)
		},
	}
	f := c.Flags()
	f.StringVar(&d.filter, "label-filter", "", "run only specs whose labels match, such as 'firewall && !slow'")
	f.Uint64Var(&d.seed, "seed", 0, "repeat the run of that seed (default: a new one)")
	f.IntVar(&d.procs, "procs", 0, "how many processes share the specs (default: one for each processor)")
	f.DurationVar(&d.limit, "limit", 10*time.Minute, "give up after this time; what did not run counts as not tested")
	f.StringVar(&d.junit, "junit", "", "also write the JUnit file here")
	f.BoolVar(&d.dry, "dry-run", false, "name the specs, and run none")
	f.StringVar(&d.driver, "driver", "", "what runs the site: "+strings.Join(drivers, ", ")+" (default: the site's)")
	f.StringVar(&d.dir, "run-dir", "", "the run's folder (default: runs/<time>-<site> in the clone)")
	f.StringVar(&moduleDir, "module", "", "the clone that holds the suites (default: found from here, or from this binary)")
	f.BoolVarP(&d.verbose, "verbose", "v", false, "show ginkgo's own output")
	return c
}

// prepare checks everything that can be checked before anything is made.
func (a *app) prepare(c *cobra.Command, d *drill, moduleDir string, args []string) (err error) {
	if d.site, err = load(args[0]); err != nil {
		return err
	}
	if d.driver == "" {
		d.driver = d.site.Driver
	}
	if d.driver != drivers[0] {
		return fail(Usage, "there is no driver %q%s", d.driver, wayOut(d.driver, drivers))
	}
	if d.procs < 0 {
		return fail(Usage, "--procs: %d processes cannot run anything; leave it out for one each processor", d.procs)
	}
	if d.limit <= 0 {
		return fail(Usage, "--limit: %v leaves no time; say such as --limit=10m", d.limit)
	}
	if d.module, err = findModule(moduleDir); err != nil {
		return err
	}
	d.given = len(args) > 1
	if d.suites, err = d.module.suites(args[1:]); err != nil {
		return err
	}
	if !c.Flags().Changed("seed") {
		d.seed = uint64(rand.Uint32()) // short enough to be typed
	}
	for _, path := range []*string{&d.junit, &d.dir} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return failure{Usage, err}
			}
		}
	}
	d.ginkgo = a.ginkgo
	if d.ginkgo == "" {
		d.ginkgo, err = d.module.ginkgo(c.Context())
	}
	return err
}

// arguments is ginkgo's command line.
func (d drill) arguments(own ...string) []string {
	argv := []string{d.ginkgo, "run", "--keep-going", "--timeout=" + d.limit.String(), fmt.Sprintf("--seed=%d", d.seed)}
	if d.filter != "" {
		argv = append(argv, "--label-filter="+d.filter)
	}
	argv = append(argv, own...)
	argv = append(argv, d.binaries...)
	argv = append(argv, "--", "--site="+d.site.Dir, fmt.Sprintf("--seed=%d", d.seed))
	if d.dir != "" {
		argv = append(argv, "--run-dir="+d.dir)
	}
	return argv
}

// repeat is the command line that does the same again.
func (d drill) repeat() string {
	words := []string{"pbsdrill", "drill", d.site.Dir}
	if d.given {
		words = append(words, d.suites...)
	}
	words = append(words, fmt.Sprintf("--seed=%d", d.seed))
	if d.filter != "" {
		words = append(words, "--label-filter="+quoted(d.filter))
	}
	return strings.Join(words, " ")
}

// quoted is a word as a shell takes it.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// environment is for building and running the suites: the same binary is run
// inside nodes, whose C library is another one.
var environment = []string{"CGO_ENABLED=0"}

// kept is how much of ginkgo's output is kept for the case that it fails
// without a word in the evidence: a suite that does not compile.
const kept = 16 << 10

func (a *app) drill(ctx context.Context, d drill) error {
	store, err := d.create()
	if err != nil {
		return failure{CouldNotTest, err}
	}
	d.dir = store.Dir()
	hurry := make(chan os.Signal, 1)
	signal.Notify(hurry, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(hurry)

	output := &tail{max: kept}
	var to io.Writer = output
	if d.verbose {
		to = io.MultiWriter(output, a.err)
	}
	p := a.progress("building the suites", d.limit)
	defer p.end()
	remove, err := a.build(ctx, &d)
	defer remove()
	if err != nil {
		fmt.Fprintln(output, err)
		p.end()
		return a.conclude(ctx, d, store, 1, output)
	}
	parallel := "-p"
	if d.procs > 0 {
		parallel = fmt.Sprintf("--procs=%d", d.procs)
	}
	run, err := startGuarded(d.module.dir, d.arguments(parallel, "--no-color"), environment, to)
	if err != nil {
		return fail(CouldNotTest, "start ginkgo: %w", err)
	}
	defer func() { _ = run.life.Close() }()
	followed := follow(d.dir, p)
	code, err := run.wait(ctx, hurry, p.above)
	followed()
	p.end()
	if err != nil {
		return fail(CouldNotTest, "run ginkgo: %w", err)
	}
	return a.conclude(ctx, d, store, code, output)
}

// create makes the run's folder and writes what is known before anything runs.
func (d drill) create() (*evidence.Store, error) {
	now := time.Now()
	var store *evidence.Store
	var err error
	if d.dir == "" {
		store, err = evidence.Create(filepath.Join(d.module.dir, "runs"), d.site.Name, now)
	} else {
		store, err = evidence.Open(d.dir)
	}
	if err != nil {
		return nil, err
	}
	return store, store.Update(func(r *evidence.Run) {
		if r.ID == "" {
			r.ID, r.Started = filepath.Base(d.dir), now.UTC()
		}
		r.Site, r.SiteDir, r.About = d.site.Name, d.site.Dir, d.site.About
		r.Seed, r.Repeat, r.Filter = d.seed, d.repeat(), d.filter
		r.SiteHash, r.Waivers, r.Undecided = d.site.Hash(), evidence.Waivers(d.site), nil
		for _, u := range d.site.Promises.Undecided {
			r.Undecided = append(r.Undecided, u.Name)
		}
	})
}

// followEvery is how often the records are counted.
const followEvery = 500 * time.Millisecond

// follow keeps the progress up to date from the run's records, until the
// function that it returns is called.
func follow(dir string, p *progress) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		red := map[string]bool{}
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				tell(dir, p, red)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// tell says how far the run is, and names each spec that failed, once.
func tell(dir string, p *progress, red map[string]bool) {
	run, specs, err := evidence.Read(dir)
	if err != nil || len(specs) == 0 {
		return // not begun, or just being written
	}
	ended := 0
	for _, s := range specs {
		if s.Took > 0 && s.Reason != evidence.FilteredOut {
			ended++
		}
		key := fmt.Sprintf("%s/%d", s.Suite, s.Number)
		if s.State == evidence.Failed && !red[key] {
			red[key] = true
			p.above("✘ " + s.Name)
		}
	}
	p.say(fmt.Sprintf("%d/%d specs", ended, run.Planned))
}
