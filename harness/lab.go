package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// downWithin is how long a lab may take to go. By design it takes a fraction
// of a second; what is slower hangs.
const downWithin = 20 * time.Second

// labs are the labs that this process has up.
type labs struct {
	mu     sync.Mutex
	up     []topology.Lab
	shared sharedLab
}

// sharedLab is brought up once, for all specs of this process that only read.
type sharedLab struct {
	once sync.Once
	lab  topology.Lab
	err  error
}

// NewLab brings up a fresh lab of the site for the spec, or for the container
// whose set-up it is called from, and takes it down after it. A lab that does
// not come up cannot be tested.
func NewLab(ctx ginkgo.SpecContext) topology.Lab {
	ginkgo.GinkgoHelper()
	lab, err := self.bringUp(ctx)
	if lab != nil {
		ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error { return self.labs.drop(ctx, lab) }, ginkgo.NodeTimeout(downWithin))
	}
	if err != nil {
		CouldNotTest("the lab did not come up: %v", err)
	}
	return lab
}

// SharedLab is the one lab of this process for specs that leave no trace in
// it. It comes up when the first of them asks and stays until the suite ends.
func SharedLab(ctx ginkgo.SpecContext) topology.Lab {
	ginkgo.GinkgoHelper()
	s := &self.labs.shared
	s.once.Do(func() { s.lab, s.err = self.bringUp(ctx) })
	if s.err != nil {
		CouldNotTest("the lab did not come up: %v", s.err)
	}
	tell(func(n *session) { n.shared = true })
	return s.lab
}

func (s *suite) bringUp(ctx context.Context) (topology.Lab, error) {
	up, known := drivers[s.site.Driver]
	if !known {
		return nil, fmt.Errorf("there is no driver %q; there are %s", s.site.Driver, strings.Join(driverNames(), ", "))
	}
	lab, err := up(ctx, s.site, Options{
		Recorder: recorder{s},
		Secret:   s.store.Redactor().Add,
		Progress: func(line string) { fmt.Fprintln(progress{}, line) },
		Mark:     s.name,
	})
	if lab != nil {
		s.labs.keep(lab)
	}
	if err != nil {
		return lab, err
	}
	if err := s.note(lab.Facts()); err != nil {
		return lab, err
	}
	return lab, booted(ctx, lab)
}

// booted says which units failed. A node without them is not the site's node,
// so nothing that is seen of it proves anything.
func booted(ctx context.Context, lab topology.Lab) error {
	var errs []error
	for _, m := range lab.Site().Nodes {
		node, err := lab.Node(m.Name)
		if err != nil {
			return err
		}
		booted, able := node.(topology.Booted)
		if !able {
			continue
		}
		units, err := booted.Units(ctx)
		if err != nil {
			return err
		}
		for _, u := range units {
			if u.State == "failed" {
				errs = append(errs, fmt.Errorf("%s: %s failed: %s", m.Name, u.Name, u.Result))
			}
			if u.Name == "netfilter-persistent.service" {
				journal, err := booted.Journal(ctx, u.Name)
				errs = append(errs, err, refused(m.Name, string(journal)))
			}
		}
	}
	return errors.Join(errs...)
}

// note keeps how the lab was run, once.
func (s *suite) note(facts topology.Facts) error {
	return s.store.Update(func(r *evidence.Run) {
		if r.Facts.Driver == "" {
			r.Facts = facts
		}
	})
}

// refused is what netfilter-persistent says of rules that it did not load. Its
// exit code is 0 all the same (Debian 13, plugins.d/15-ip4tables). The fault may
// be the file's or this kernel's, for want of a module, so nothing was tested.
func refused(node, journal string) error {
	if !strings.Contains(journal, "NOT loaded") {
		return nil
	}
	var why []string
	for line := range strings.Lines(journal) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "run-parts:") && !strings.HasPrefix(line, "Try ") {
			why = append(why, line)
		}
	}
	return fmt.Errorf("%s: netfilter-persistent.service loaded no rules: %s", node, strings.Join(why, "; "))
}

func (l *labs) keep(lab topology.Lab) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = append(l.up, lab)
}

func (l *labs) drop(ctx context.Context, lab topology.Lab) error {
	l.mu.Lock()
	l.up = slices.DeleteFunc(l.up, func(other topology.Lab) bool { return other == lab })
	l.mu.Unlock()
	return lab.Down(ctx)
}

// down ends what is still up: the shared lab, and what a clean-up missed.
func (l *labs) down(ctx context.Context) error {
	l.mu.Lock()
	left := slices.Clone(l.up)
	l.mu.Unlock()
	var errs []error
	for _, lab := range left {
		errs = append(errs, l.drop(ctx, lab))
	}
	return errors.Join(errs...)
}

// of is the labs that a spec has to do with.
func (l *labs) of(n *session) []topology.Lab {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.up), func(lab topology.Lab) bool {
		return lab == l.shared.lab && !n.shared
	})
}

// recorder gives each command to the spec under way.
type recorder struct{ suite *suite }

func (r recorder) Command(node string, c topology.Command, res topology.Result, err error) {
	if n := r.suite.session.Load(); n != nil {
		n.folder.Command(node, c, res, err)
	}
}

// Needs is an ability of a node. A spec that needs one that the driver's nodes
// lack is skipped, with the reason.
func Needs[A any](node topology.Node) A {
	ginkgo.GinkgoHelper()
	ability, has := node.(A)
	if !has {
		ginkgo.Skip(fmt.Sprintf("the driver %s has no %T on %s", self.site.Driver, (*A)(nil), node.Name()))
	}
	return ability
}
