package flow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/harness/filter"
)

// patience is how long an attempt waits for anything to happen: less than the
// second after which the kernel repeats a SYN, since repetitions count where
// connections are limited (xt_recent).
const patience = 900 * time.Millisecond

// pulse is how often an attempt is judged while nothing new is seen of it.
const pulse = 50 * time.Millisecond

// answerPatience is how long a service may take to say who it is, once the
// connection stands.
const answerPatience = 5 * time.Second

// maxPackets bounds what one attempt keeps for a capture file.
const maxPackets = 64

// attempt is one flow being probed.
type attempt struct {
	flow  Flow
	key   uint16
	zone  int // link-local: the source's interface
	nonce []byte

	mu      sync.Mutex
	seen    observation
	started time.Time
	packets []kept
	wake    chan struct{}
}

// kept is a packet for the capture file.
type kept struct {
	node, iface string
	capture     capture
}

func newAttempt(f Flow) *attempt {
	return &attempt{flow: f, key: sharedKeys.take(), wake: make(chan struct{}, 1), started: time.Now(),
		seen: observation{flow: f}}
}

func (a *attempt) update(change func(*observation)) {
	a.mu.Lock()
	change(&a.seen)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *attempt) sighted(s sighting, c capture) {
	a.mu.Lock()
	if len(c.data) > 0 && len(a.packets) < maxPackets {
		a.packets = append(a.packets, kept{s.node, s.iface, c})
	}
	a.mu.Unlock()
	a.update(func(o *observation) {
		if len(o.packets) < 4*maxPackets {
			o.packets = append(o.packets, s)
		}
	})
}

func (a *attempt) ruled(r ruling) {
	a.update(func(o *observation) {
		if len(o.rulings) < 4*maxPackets {
			o.rulings = append(o.rulings, r)
		}
	})
}

func (a *attempt) snapshot() observation {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.seen
	o.packets, o.rulings = slices.Clone(o.packets), slices.Clone(o.rulings)
	o.age = time.Since(a.started)
	return o
}

// begin marks the moment from which patience counts.
func (a *attempt) begin() {
	a.mu.Lock()
	a.started = time.Now()
	a.mu.Unlock()
}

// fail ends the attempt as one that could not be made.
func (a *attempt) fail(err error) {
	a.update(func(o *observation) { o.failure = "could not be tried: " + err.Error() })
}

// told turns what a socket says into an outcome; other errors are failures.
func (a *attempt) told(err error) {
	result := pending
	switch {
	case err == nil:
		result = answered
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET):
		result = refused
	case errors.Is(err, unix.EPERM):
		result = forbidden
	case isUnreachable(err) && !(a.flow.Family == LinkLocal && errors.Is(err, unix.EINVAL)): // a zone that is missing
		result = unreachable
		if local := (localError{}); errors.As(err, &local) {
			result = routeless
		}
	case errors.Is(err, os.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		return // we gave up first: silence
	default:
		a.fail(err)
		return
	}
	a.update(func(o *observation) { o.outcome = result })
}

// isUnreachable knows what routes and neighbours give (an unreachable, a
// prohibiting and a blackhole route the first, third and fourth), and the
// kernel's WireGuard where no peer has the address, or no endpoint.
func isUnreachable(err error) bool {
	for _, code := range []unix.Errno{unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.EINVAL,
		unix.EADDRNOTAVAIL, unix.ENOKEY, unix.EDESTADDRREQ} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// await judges whatever comes in until the judgement is final.
func (a *attempt) await(ctx context.Context, observe func() observation) (judgement, observation) {
	// What depends on age is judged again when age may have changed it.
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		o := observe()
		o.expired = o.expired || o.age >= patience && !o.connected && o.outcome != answered
		if j := judge(o); j.final {
			return j, o
		}
		select {
		case <-ctx.Done():
			a.fail(fmt.Errorf("interrupted: %w", ctx.Err()))
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// probe makes the answer out of a judgement.
func (a *attempt) probe(j judgement, o observation) Probe {
	p := Probe{Flow: a.flow, Saw: j.saw, Why: j.why, Identity: o.identity.text, Started: a.started, Took: o.age,
		discovery: j.discovery, weak: j.weak, packets: a.packets}
	if j.rule != nil {
		rule := *j.rule
		p.Rule = &rule
	}
	p.Witness = o.lines()
	for _, s := range o.packets {
		if s.node == a.flow.To && s.stage == onWireIn && !s.answer && a.flow.Service.Protocol == "tcp" {
			p.SYNs++
		}
	}
	return p
}

// lines is the observation as evidence, in the order of time.
func (o observation) lines() []string {
	type line struct {
		at   time.Time
		text string
	}
	var all []line
	for _, s := range o.packets {
		all = append(all, line{s.at, s.String()})
	}
	for _, r := range o.rulings {
		all = append(all, line{r.at, r.String()})
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	var out []string
	for _, l := range all {
		out = append(out, l.text)
	}
	for _, n := range o.neighbours {
		if !n.answered || n.dropped != nil {
			out = append(out, n.why())
		}
	}
	return out
}

// onDescriptor runs a call on a file's descriptor.
func onDescriptor(f *os.File, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = call(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// ruleLine is where a rule stands, and what its file says there.
func ruleLine(r filter.Rule) string {
	if r.File == "" {
		return r.String()
	}
	return fmt.Sprintf("%s (%s)", r, r.Text)
}
