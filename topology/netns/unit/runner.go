package unit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Options is what a runner works with.
type Options struct {
	Starter Starter
	// Root is where this process sees the node's root; "" is "/".
	Root string
	// Env is added to every service's environment: NAME=VALUE.
	Env []string
	// Limit caps every start and stop, whatever TimeoutStartSec= says: a lab
	// does not wait for a minute and a half. Zero is no cap.
	Limit time.Duration
	// Single says that the node has one user and group id, root's: a service
	// that asks for another fails.
	Single bool
	// Notify is the folder of notify sockets; "" is Root/run/systemd/notify.
	Notify string
}

// Runner runs a set's units and knows how each of them is.
type Runner struct {
	set     *Set
	options Options
	runs    map[string]*run
}

// run is one unit while the node is up.
type run struct {
	unit    *Unit
	decided chan struct{} // closed when the boot has started it, or not
	acting  sync.Mutex    // one start, stop or reload at a time

	mu      sync.Mutex
	state   string
	result  string
	at      topology.Position
	took    time.Duration
	journal *journal
	main    Process
	env     map[string]string
	account account
	notices *notices
	ending  bool // a stop is under way: the end of the main process is no failure
}

// The states that systemd names.
const (
	active     = "active"
	activating = "activating"
	failed     = "failed"
	inactive   = "inactive"
)

// NewRunner makes a runner for a set that was loaded without problems.
func NewRunner(set *Set, o Options) *Runner {
	r := &Runner{set: set, options: o, runs: map[string]*run{}}
	for _, u := range set.Units {
		r.runs[u.Name] = &run{unit: u, state: inactive, decided: make(chan struct{})}
	}
	return r
}

func (r *Runner) root() string { return strings.TrimSuffix(r.options.Root, "/") }

// Boot starts every unit of the set, each as soon as those that come before it
// have been decided. Units that fail are states, not errors; the error says
// that the context ended first.
func (r *Runner) Boot(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, x := range r.runs {
		wg.Go(func() {
			defer close(x.decided)
			for _, name := range r.set.order[x.unit.Name] {
				select {
				case <-r.runs[name].decided:
				case <-ctx.Done():
					x.settle(failed, "the boot was given up", topology.Position{})
					return
				}
			}
			r.start(ctx, x)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	return nil
}

// lineError is a failure and the line of the unit file behind it.
type lineError struct {
	at  topology.Position
	err error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// errSkipped says that a unit was not started, which is no failure.
var errSkipped = errors.New("not started")

// start starts one unit and settles its state.
func (r *Runner) start(ctx context.Context, x *run) {
	x.acting.Lock()
	defer x.acting.Unlock()
	begun := time.Now()
	err := r.tryStart(ctx, x)
	x.mu.Lock()
	x.took = time.Since(begun)
	x.mu.Unlock()
	var line *lineError
	at := topology.Position{}
	if errors.As(err, &line) {
		at = line.at
	}
	switch {
	case errors.Is(err, errSkipped):
		x.settle(inactive, strings.TrimSuffix(err.Error(), ": "+errSkipped.Error()), at)
	case err != nil:
		x.settle(failed, err.Error(), at)
	}
}

func (x *run) settle(state, result string, at topology.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state, x.result, x.at = state, result, at
}

func (r *Runner) tryStart(ctx context.Context, x *run) error {
	u := x.unit
	if u.Skipped != "" {
		return fmt.Errorf("%s: %w", u.Skipped, errSkipped)
	}
	if err := r.required(u); err != nil {
		return err
	}
	unmet, err := u.unmet(r.options.Root)
	if err != nil {
		return &lineError{at: unmet.at, err: err}
	}
	if unmet != nil && unmet.assert {
		return &lineError{at: unmet.at, err: fmt.Errorf("%s does not hold", unmet.text)}
	}
	if unmet != nil {
		return &lineError{at: unmet.at, err: fmt.Errorf("condition failed: %s: %w", unmet.text, errSkipped)}
	}
	if u.Service == nil {
		x.settle(active, "", topology.Position{})
		return nil
	}
	return r.startService(ctx, x)
}

// required fails a unit whose requirement failed before it.
func (r *Runner) required(u *Unit) error {
	for _, p := range u.pulls {
		other, ok := r.set.Unit(p.unit)
		if !p.hard || !ok || !r.before(other.Name, u.Name) {
			continue
		}
		o := r.runs[other.Name]
		o.mu.Lock()
		state := o.state
		o.mu.Unlock()
		if state == failed {
			return &lineError{at: p.at, err: fmt.Errorf("dependency: %s failed", other.Name)}
		}
	}
	return nil
}

func (r *Runner) before(earlier, later string) bool {
	for _, name := range r.set.order[later] {
		if name == earlier {
			return true
		}
	}
	return false
}

// States is every service of the node and what else is enabled, by name.
func (r *Runner) States() []topology.UnitState {
	var out []topology.UnitState
	for _, u := range r.set.Units {
		if u.Service == nil && split(u.Name).suffix == "target" {
			continue
		}
		x := r.runs[u.Name]
		x.mu.Lock()
		s := topology.UnitState{Name: u.Name, State: x.state, Result: x.result, Took: x.took}
		if x.at.File != "" {
			s.Position = x.at.String()
		}
		x.mu.Unlock()
		out = append(out, s)
	}
	return out
}

// Journal is what a unit printed. It waits for what its programs have printed
// already.
func (r *Runner) Journal(ctx context.Context, name string) ([]byte, error) {
	x, err := r.find(name)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	j := x.journal
	x.mu.Unlock()
	if j == nil {
		return nil, nil // it never ran anything
	}
	j.sync(ctx)
	return j.bytes(), nil
}

func (r *Runner) find(name string) (*run, error) {
	if !strings.Contains(name, ".") {
		name += ".service"
	}
	u, ok := r.set.Unit(name)
	if !ok {
		return nil, fmt.Errorf("the node has no unit %s that its boot starts", name)
	}
	return r.runs[u.Name], nil
}
