package flow

import (
	"net/netip"
	"sync"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
)

// board is where stations pin what they see, for the attempts to read.
type board struct {
	mu         sync.Mutex
	attempts   map[attemptKey]*attempt
	neighbours map[neighbourKey]*question
	owners     func(netip.Addr) string // address → node
	routers    func(netip.Addr) bool   // the address is a router's
}

type attemptKey struct {
	protocol string
	key      uint16
}

type neighbourKey struct {
	node    string
	address netip.Addr
}

// question is one node asking for the hardware address of another.
type question struct {
	iface    string
	asked    time.Time // first, of those that nobody answered
	latest   time.Time
	answered bool
	dropped  *ruling
}

func newBoard() *board {
	return &board{attempts: map[attemptKey]*attempt{}, neighbours: map[neighbourKey]*question{}}
}

func (b *board) add(a *attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts[attemptKey{a.flow.Service.Protocol, a.key}] = a
}

func (b *board) remove(a *attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.attempts, attemptKey{a.flow.Service.Protocol, a.key})
}

func (b *board) find(protocol string, key uint16) *attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts[attemptKey{protocol, key}]
}

func (b *board) question(node string, address netip.Addr) *question {
	key := neighbourKey{node, address}
	q := b.neighbours[key]
	if q == nil {
		q = &question{}
		b.neighbours[key] = q
	}
	return q
}

func (b *board) asked(node, iface string, address netip.Addr, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.question(node, address)
	if q.answered || q.asked.IsZero() {
		q.asked, q.answered = at, false
	}
	q.iface, q.latest = iface, at
}

func (b *board) replied(node string, address netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.question(node, address).answered = true
}

// neighbourDropped notes that a filter of the station dropped a solicitation
// for one of its addresses, or an advertisement to it.
func (b *board) neighbourDropped(s *station, p filter.Packet, r ruling) {
	if p.Type == "nd-neighbor-advert" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.question(s.name, p.Source).dropped = &r
		return
	}
	asker := b.owners(p.Source)
	for _, address := range s.addresses() {
		if !p.Concerns(address) || asker == "" {
			continue
		}
		b.mu.Lock()
		q := b.question(asker, address)
		q.dropped = &r
		if q.asked.IsZero() {
			q.asked, q.latest = r.at, r.at
		}
		b.mu.Unlock()
	}
}

// forget drops what is known of IPv6 neighbours.
func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.neighbours {
		if key.address.Is6() {
			delete(b.neighbours, key)
		}
	}
}

// questionAge bounds how old a question may be to explain an attempt: the
// kernel asks each second while a packet waits (retrans_time_ms).
const questionAge = 2 * time.Second

// about lists the questions that may explain why a flow stopped: for its
// target's address, and for a router's.
func (b *board) about(address netip.Addr, since time.Time) []neighbour {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var out []neighbour
	for key, q := range b.neighbours {
		if key.address != address && !b.routers(key.address) || q.latest.Before(since.Add(-questionAge)) {
			continue
		}
		out = append(out, neighbour{node: key.node, iface: q.iface, address: key.address,
			waited: now.Sub(q.asked), answered: q.answered, dropped: q.dropped})
	}
	return out
}
