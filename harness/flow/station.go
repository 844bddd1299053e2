package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// station is a node with the means to watch it.
type station struct {
	name    string
	node    topology.Node
	sockets topology.Sockets
	starter topology.Starter
	board   *board

	witness *witness
	monitor topology.Process
	stream  *io.PipeWriter
	reading sync.WaitGroup

	mu         sync.Mutex
	interfaces []topology.Interface
	traced     map[string]traced // packet id → whose it is
	blind      string
	saved      *filter.Saved
	rules      filter.Ruleset
	identities map[string]known
	calls      []*attempt // control packets to neighbours

	left atomic.Bool // a packet was seen to leave by a cable
}

// traceTable is ours; `flush ruleset` in a node's file removes it.
const traceTable = "pbsdrill_trace"

// The chains of our table. Early ones switch tracing on, late ones show that a
// packet came through everything before them.
const (
	chainArrive  = "arrived"
	chainDeliver = "delivered"
	chainSend    = "sent"
	chainLeave   = "left"
)

// traceScript makes the table anew. Priorities are beyond those of any filter:
// raw is -300, conntrack's defragmentation -400, its confirmation the very last.
var traceScript = strings.NewReplacer("PORTS", fmt.Sprintf("%d-%d", firstPort, lastPort), "TABLE", traceTable).Replace(`
table inet TABLE
delete table inet TABLE
table inet TABLE {
	chain probes {
		tcp sport PORTS tcp flags & (syn | ack) == syn meta nftrace set 1
		tcp dport PORTS tcp flags & (syn | rst) != 0x0 meta nftrace set 1
		udp sport PORTS meta nftrace set 1
		udp dport PORTS meta nftrace set 1
		icmp type { echo-request, echo-reply } meta nftrace set 1
		icmpv6 type { echo-request, echo-reply, nd-neighbor-solicit, nd-neighbor-advert } meta nftrace set 1
	}
	chain arrived {
		type filter hook prerouting priority -450; policy accept;
		jump probes
	}
	chain delivered {
		type filter hook input priority 1000000; policy accept;
	}
	chain sent {
		type filter hook output priority -450; policy accept;
		jump probes
	}
	chain left {
		type filter hook postrouting priority 1000000; policy accept;
	}
}
`)

// traced is whose packet a trace is about.
type traced struct {
	protocol string
	key      uint16
	answer   bool
	packet   filter.Packet
}

// start opens the witness, arms the trace and reads it. What the driver can't
// do, or the node's tools, makes the station blind rather than the run fail.
func (s *station) start(ctx context.Context) error {
	if err := s.survey(ctx); err != nil {
		return err
	}
	w, err := watch(ctx, s.sockets, s.captured)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.witness = w
	if err := s.arm(ctx); err != nil {
		return err
	}
	r, pw := io.Pipe()
	s.stream = pw
	s.reading.Go(func() {
		_ = filter.ReadTrace(r, s.event)
		_ = r.Close()
	})
	s.monitor, err = s.starter.Start(ctx, topology.Command{Argv: []string{"nft", "-a", "monitor", "trace"}, Stdout: pw})
	if err != nil {
		return fmt.Errorf("%s: watch the trace: %w", s.name, err)
	}
	return nil
}

// survey asks for the node's interfaces and addresses as they are now.
func (s *station) survey(ctx context.Context) error {
	able, ok := s.node.(topology.Interfaces)
	if !ok {
		return nil
	}
	all, err := able.Interfaces(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.mu.Lock()
	s.interfaces = all
	s.mu.Unlock()
	return nil
}

// forget empties the node's IPv6 neighbours, so that a verdict doesn't depend
// on who asked whom before: a node that drops neighbour discovery is reached
// all the same by those that it has asked something itself.
func (s *station) forget(ctx context.Context) error {
	_, err := s.node.Run(ctx, topology.Command{Argv: []string{"ip", "-6", "neighbour", "flush", "all"}})
	if err != nil {
		return fmt.Errorf("%s: forget neighbours: %w", s.name, err)
	}
	return nil
}

func (s *station) arm(ctx context.Context) error {
	result, err := s.node.Run(ctx, topology.Command{Argv: []string{"nft", "-f", "-"}, Stdin: strings.NewReader(traceScript)})
	if err != nil {
		return fmt.Errorf("%s: arm the trace: %w", s.name, err)
	}
	if result.Exit != 0 {
		return fmt.Errorf("%s: arm the trace: nft: exit %d: %s", s.name, result.Exit, firstLine(result.Stderr))
	}
	return nil
}

// close removes everything that start made, and tolerates what is gone.
func (s *station) close(ctx context.Context) error {
	var errs []error
	if s.monitor != nil {
		errs = append(errs, s.monitor.Kill())
		_, _ = s.monitor.Wait(ctx) // killed: there is no result to speak of
		result, err := s.node.Run(ctx, topology.Command{Argv: []string{"nft", "-f", "-"},
			Stdin: strings.NewReader("table inet " + traceTable + "\ndelete table inet " + traceTable + "\n")})
		if err == nil && result.Exit != 0 {
			err = fmt.Errorf("nft: exit %d: %s", result.Exit, firstLine(result.Stderr))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: remove the trace: %w", s.name, err))
		}
	}
	if s.stream != nil {
		errs = append(errs, s.stream.Close())
	}
	s.reading.Wait()
	errs = append(errs, s.witness.close())
	return errors.Join(errs...)
}

// control proves that trace and witness see: a datagram of our own over lo must
// show up in both. A trace that was flushed is armed again.
func (s *station) control(ctx context.Context) {
	err := s.controlled(ctx)
	if err != nil && ctx.Err() == nil {
		if err = s.arm(ctx); err == nil {
			err = s.controlled(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = ""
	if err != nil {
		s.blind = err.Error()
	}
}

// controlBudget is for nft to start and read the node's rules; sent again
// every controlPause.
const (
	controlBudget = 3 * time.Second
	controlPause  = 20 * time.Millisecond
)

func (s *station) controlled(ctx context.Context) error {
	f := Flow{From: s.name, To: s.name, Over: "lo", Family: IPv4, Address: netip.AddrFrom4([4]byte{127, 0, 0, 1}),
		Service: topology.Service{Name: "control", Protocol: "udp", Port: 9}}
	a := newAttempt(f)
	s.board.add(a)
	defer s.board.remove(a)
	ctx, cancel := context.WithTimeout(ctx, controlBudget)
	defer cancel()
	socket, err := s.sockets.Socket(ctx, unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("control packet: %w", err)
	}
	defer func() { _ = socket.Close() }()
	tick := time.NewTicker(controlPause)
	defer tick.Stop()
	for {
		// An error is what a closed output, or the port unreachable of the
		// last packet, gives; what counts is whether it was seen.
		_ = onDescriptor(socket, func(fd int) error {
			_ = unix.Bind(fd, &unix.SockaddrInet4{Port: int(a.key)})
			return unix.Sendto(fd, []byte("control"), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9})
		})
		o := a.snapshot()
		trace, wire := o.saw(s.name, false, entered), o.saw(s.name, false, onWireIn, onWireOut)
		if trace && wire {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the control packet over lo was not seen (trace: %t, capture: %t)", trace, wire)
		case <-tick.C:
		}
	}
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}

// captured takes what the witness saw.
func (s *station) captured(c capture) {
	name := s.interfaceName(c.index)
	loop := name == "lo"
	if c.out && !loop {
		s.left.Store(true)
	}
	switch c.packet.kind {
	case solicitPacket:
		if c.out && !loop {
			s.board.asked(s.name, name, c.packet.target, c.at)
		}
		return
	case advertPacket:
		if !c.out {
			s.board.replied(s.name, c.packet.target)
		}
		return
	}
	where := sighting{at: c.at, node: s.name, iface: name, stage: onWireIn, source: c.packet.source, text: c.packet.text,
		answer: c.packet.kind != requestPacket, reset: c.packet.kind == resetPacket || c.packet.kind == prohibitedPacket,
		prohibits: c.packet.kind == prohibitedPacket}
	if c.out {
		where.stage = onWireOut
	}
	if a := s.board.find(c.packet.protocol, c.packet.key); a != nil {
		a.sighted(where, c)
	}
}

// event takes a line of the trace.
func (s *station) event(e filter.Event) {
	if e.Kind == filter.KindPacket {
		s.tracedPacket(e)
		return
	}
	if e.Table == traceTable {
		return
	}
	s.mu.Lock()
	t, ok := s.traced[e.ID]
	s.mu.Unlock()
	if !ok {
		return
	}
	r := ruling{at: time.Now(), node: s.name, answer: t.answer, decides: e.Decides(),
		rule: filter.Rule{Node: s.name, Family: e.Family, Table: e.Table, Chain: e.Chain, Handle: e.Handle, Text: e.Text, Verdict: e.Verdict}}
	if strings.HasPrefix(t.packet.Type, "nd-") {
		if r.rule.Verdict == "drop" {
			s.board.neighbourDropped(s, t.packet, r)
		}
		return
	}
	if a := s.board.find(t.protocol, t.key); a != nil && r.decides {
		a.ruled(r)
	}
}

// tracedPacket notes whose packet an id is, and how far it has come.
func (s *station) tracedPacket(e filter.Event) {
	t := traced{protocol: e.Packet.Protocol, packet: e.Packet}
	switch {
	case t.protocol == "icmpv6" || t.protocol == "icmp":
		t.protocol, t.key, t.answer = "icmp", e.Packet.EchoID, e.Packet.Type == "echo-reply"
	case isKey(e.Packet.SourcePort) && (t.protocol == "udp" || e.Packet.Flags == "syn"):
		t.key = e.Packet.SourcePort
	default:
		t.key, t.answer = e.Packet.DestinationPort, true
	}
	s.mu.Lock()
	if len(s.traced) > 1<<14 {
		clear(s.traced)
	}
	s.traced[e.ID] = t
	s.mu.Unlock()
	if e.Table != traceTable {
		return
	}
	stages := map[string]stage{chainArrive: entered, chainSend: entered, chainDeliver: delivered, chainLeave: passedOn}
	if a := s.board.find(t.protocol, t.key); a != nil && stages[e.Chain] != 0 {
		iface := e.Packet.In
		if iface == "" {
			iface = e.Packet.Out
		}
		a.sighted(sighting{at: time.Now(), node: s.name, iface: iface, stage: stages[e.Chain], answer: t.answer, text: describe(e.Packet)}, capture{})
	}
}

func describe(p filter.Packet) string {
	switch p.Protocol {
	case "tcp", "udp":
		return fmt.Sprintf("%s %s > %s", strings.ToUpper(p.Protocol), netip.AddrPortFrom(p.Source, p.SourcePort), netip.AddrPortFrom(p.Destination, p.DestinationPort))
	}
	return fmt.Sprintf("%s %s > %s", p.Type, p.Source, p.Destination)
}

func (s *station) interfaceName(index int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.interfaces {
		if i.Index == index {
			return i.Name
		}
	}
	return fmt.Sprintf("interface %d", index)
}

// addresses lists the node's own, those of lo left out.
func (s *station) addresses() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []netip.Addr
	for _, i := range s.interfaces {
		for _, p := range i.Addresses {
			if !p.Addr().IsLoopback() {
				out = append(out, p.Addr())
			}
		}
	}
	return out
}

// linkLocal is the node's link-local address on a network, and the index of
// the interface.
func (s *station) linkLocal(network string) (netip.Addr, int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.interfaces {
		if i.Network != network {
			continue
		}
		for _, p := range i.Addresses {
			if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				return p.Addr().WithZone(""), i.Index, true
			}
		}
	}
	return netip.Addr{}, 0, false
}

func (s *station) owns(address netip.Addr) bool {
	return slices.Contains(s.addresses(), address.WithZone(""))
}

// able says whether the node can send at all: a packet of it was seen on a
// cable, or its own filter was seen to hold back a control packet that had a
// route.
func (s *station) able() bool {
	if s.left.Load() {
		return true
	}
	s.mu.Lock()
	calls := s.calls
	s.mu.Unlock()
	for _, a := range calls {
		if d := a.snapshot().drop(false); d != nil && d.node == s.name {
			return true
		}
	}
	return false
}

func (s *station) blindness() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blind
}
