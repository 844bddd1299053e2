package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

// Options of a prober.
type Options struct {
	// Seed chooses the first source port, so that a run can be repeated.
	Seed uint64
	// AtOnce bounds how many flows are under way; zero is 192, which two
	// cores and a monitor's unprivileged socket buffer can follow.
	AtOnce int
}

const defaultAtOnce = 192

// Prober asks a running lab about flows. It watches every node from
// [NewProber] to Close: a packet socket and a trace on each.
type Prober struct {
	lab      topology.Lab
	options  Options
	board    *board
	stations map[string]*station
	order    []string

	mu      sync.Mutex // one Probe at a time
	tunnels map[place]tunnelEnd
}

// NewProber starts to watch all nodes of the lab. Its controls are part of
// each Probe; a node that can't be watched makes verdicts unknown, with the
// reason. Close removes everything again.
func NewProber(ctx context.Context, lab topology.Lab, o Options) (*Prober, error) {
	if o.AtOnce <= 0 {
		o.AtOnce = defaultAtOnce
	}
	sharedKeys.start(o.Seed)
	p := &Prober{lab: lab, options: o, board: newBoard(), stations: map[string]*station{}}
	p.board.owners, p.board.routers = p.owner, p.isRouters
	for _, m := range lab.Site().Nodes {
		node, err := lab.Node(m.Name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("probe %s: %w", m.Name, err), p.Close(ctx))
		}
		s := &station{name: m.Name, node: node, board: p.board, traced: map[string]traced{}, identities: map[string]known{}}
		s.sockets, _ = node.(topology.Sockets)
		s.starter, _ = node.(topology.Starter)
		p.stations[m.Name] = s
		p.order = append(p.order, m.Name)
	}
	err := p.each(func(s *station) error {
		if s.sockets == nil || s.starter == nil {
			return nil // its flows will be unknown
		}
		return s.start(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// Close stops watching, and removes what watching put into the nodes. It may
// be called twice.
func (p *Prober) Close(ctx context.Context) error {
	return p.each(func(s *station) error {
		if s.sockets == nil || s.starter == nil {
			return nil
		}
		err := s.close(ctx)
		s.monitor, s.witness, s.stream = nil, nil, nil
		return err
	})
}

func (p *Prober) each(do func(*station) error) error { return p.eachOf(p.order, do) }

func (p *Prober) eachOf(names []string, do func(*station) error) error {
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { errs[i] = do(p.stations[name]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// involved are the nodes whose state a probe of the flows depends on: their
// ends, and the routers. All the others are watched too, but need no control.
func (p *Prober) involved(flows []Flow) []string {
	ends := map[string]bool{}
	for _, f := range flows {
		ends[f.From], ends[f.To] = true, true
	}
	var names []string
	for _, m := range p.lab.Site().Nodes {
		if ends[m.Name] || m.Role == topology.RoleRouter {
			names = append(names, m.Name)
		}
	}
	return names
}

// Probe tries all flows, many at once, and gives a probe for each, in order.
// An error means that nothing was probed; what goes wrong with one flow is in
// its probe.
func (p *Prober) Probe(ctx context.Context, flows ...Flow) ([]Probe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.controls(ctx, p.involved(flows)); err != nil {
		return nil, err
	}
	defer p.hangUp()
	ls := newListeners()
	defer ls.close()
	p.prepare(ctx, ls, flows)

	probes := make([]Probe, len(flows))
	if err := p.waves(ctx, flows, func(i int) { probes[i] = p.attempt(ctx, ls, flows[i]) }); err != nil {
		return nil, err
	}
	p.again(ctx, ls, flows, probes)
	if err := p.locate(ctx, probes); err != nil {
		return nil, err
	}
	return probes, nil
}

// retryAtOnce: a burst may overrun a monitor's buffer, and what was lost there
// is unknown. Asked again, a few at a time, it is not.
const retryAtOnce = 8

// again repeats what could not be told. Connections to a limited service are
// not repeated: the second attempt would be judged by the first.
func (p *Prober) again(ctx context.Context, ls *listeners, flows []Flow, probes []Probe) {
	var which []int
	for i, probe := range probes {
		_, limited := limitOf(p.lab.Site(), probe.Flow)
		if (probe.Saw == Unknown || probe.weak) && !limited {
			which = append(which, i)
		}
	}
	p.run(ctx, which, func(i int) {
		first := probes[i]
		probes[i] = p.attempt(ctx, ls, flows[i])
		probes[i].Witness = append(probes[i].Witness, "asked twice; the first time: "+first.Why)
		probes[i].SYNs += first.SYNs
	}, retryAtOnce)
}

// waves runs all flows over IPv4 at once, and beside them those over IPv6 by
// source: within a wave only one node asks for its neighbours, and each wave
// begins with nobody knowing any.
func (p *Prober) waves(ctx context.Context, flows []Flow, do func(int)) error {
	var four []int
	six := map[string][]int{}
	for i, f := range flows {
		if f.Family == IPv4 {
			four = append(four, i)
		} else {
			six[f.From] = append(six[f.From], i)
		}
	}
	share := p.options.AtOnce
	if len(four) > 0 && len(six) > 0 {
		share = max(1, share/2)
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.run(ctx, four, do, share) })
	var err error
	for _, from := range p.order {
		if len(six[from]) == 0 || err != nil {
			continue
		}
		if err = p.forget(ctx, p.involved(flows)); err == nil {
			p.run(ctx, six[from], do, share)
		}
	}
	wg.Wait()
	if cerr := ctx.Err(); cerr != nil {
		return fmt.Errorf("probe: %w", cerr)
	}
	return err
}

func (p *Prober) forget(ctx context.Context, names []string) error {
	err := p.eachOf(names, func(s *station) error {
		if s.sockets == nil {
			return nil
		}
		return s.forget(ctx)
	})
	p.board.forget()
	return err
}

// run calls do for each of the flows, atOnce at a time.
func (p *Prober) run(ctx context.Context, which []int, do func(int), atOnce int) {
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, i := range which {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

// controls shows that each node is seen, and that it can send.
func (p *Prober) controls(ctx context.Context, names []string) error {
	err := p.eachOf(names, func(s *station) error {
		if s.sockets == nil || s.starter == nil {
			s.mu.Lock()
			s.blind = "the driver can't open sockets there, so nothing can be seen"
			s.mu.Unlock()
			return nil
		}
		if err := s.survey(ctx); err != nil {
			return err
		}
		s.left.Store(false)
		s.control(ctx)
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.askTunnels(ctx, names); err != nil {
		return err
	}
	return p.eachOf(names, func(s *station) error {
		if s.sockets != nil {
			p.callNeighbours(ctx, s)
		}
		return ctx.Err()
	})
}

// askTunnels asks both ends of the tunnels that any of the nodes is on.
func (p *Prober) askTunnels(ctx context.Context, names []string) error {
	if !slices.ContainsFunc(names, p.hasTunnel) {
		return nil
	}
	all := make([]map[place]tunnelEnd, len(p.order))
	err := p.each(func(s *station) error {
		if s.sockets == nil || !p.hasTunnel(s.name) {
			return nil
		}
		ends, err := s.askTunnels(ctx)
		all[slices.Index(p.order, s.name)] = ends
		return err
	})
	p.tunnels = map[place]tunnelEnd{}
	for _, ends := range all {
		maps.Copy(p.tunnels, ends)
	}
	return err
}

func (p *Prober) hasTunnel(node string) bool {
	site := p.lab.Site()
	m, ok := site.Machine(node)
	return ok && slices.ContainsFunc(m.On, func(a topology.Attachment) bool {
		n, ok := site.Network(a.Network)
		return ok && n.Tunnel
	})
}

// callNeighbours sends a datagram to a node of each network that this one is
// on: the control flow which shows that it is able to send at all.
func (p *Prober) callNeighbours(ctx context.Context, s *station) {
	site := p.lab.Site()
	m, ok := site.Machine(s.name)
	if !ok {
		return
	}
	var calls []*attempt
	for _, at := range m.On {
		to, ok := neighbourOn(site, m, at)
		if !ok {
			continue
		}
		a := newAttempt(Flow{From: s.name, Address: to, Service: topology.Service{Protocol: "udp", Port: 9}})
		p.board.add(a)
		calls = append(calls, a)
		f, err := a.open(ctx, s.sockets)
		if err != nil {
			continue // the flows themselves will say what is wrong
		}
		_ = onDescriptor(f, func(fd int) error { return sendTo(fd, []byte("control"), to, 9) })
		_ = f.Close()
	}
	s.mu.Lock()
	s.calls = calls
	s.mu.Unlock()
}

// hangUp takes the control packets off the board.
func (p *Prober) hangUp() {
	for _, s := range p.stations {
		s.mu.Lock()
		calls := s.calls
		s.calls = nil
		s.mu.Unlock()
		for _, a := range calls {
			p.board.remove(a)
		}
	}
}

func neighbourOn(site *topology.Site, m *topology.Machine, at topology.Attachment) (netip.Addr, bool) {
	for _, other := range site.Nodes {
		for _, address := range other.Addresses(at.Network) {
			if other != m && hasFamily(at.Addresses, familyOf(address)) {
				return address, true
			}
		}
	}
	return netip.Addr{}, false
}

// prepare finds link-local addresses out and puts listeners where they are
// missing.
func (p *Prober) prepare(ctx context.Context, ls *listeners, flows []Flow) {
	byNode := map[string][]Flow{}
	for i := range flows {
		f := &flows[i]
		target := p.stations[f.To]
		if target == nil {
			continue
		}
		if f.Family == LinkLocal {
			f.Address, _, _ = target.linkLocal(f.Over)
		}
		if f.Address.IsValid() {
			byNode[f.To] = append(byNode[f.To], *f)
		}
	}
	_ = p.each(func(s *station) error {
		if s.sockets == nil {
			return nil
		}
		for _, f := range byNode[s.name] {
			ls.place(ctx, s, f)
		}
		return nil
	})
}

// attempt tries one flow.
func (p *Prober) attempt(ctx context.Context, ls *listeners, f Flow) Probe {
	from, to := p.stations[f.From], p.stations[f.To]
	a := newAttempt(f)
	if reason := p.impossible(a, from, to); reason != "" {
		return Probe{Flow: f, Saw: Unknown, Why: reason, Started: a.started}
	}
	behind := ls.find(f)
	observe := func() observation { return p.observe(a, behind) }
	a.nonce = newNonce()
	p.board.add(a)
	defer p.board.remove(a)
	file, err := a.open(ctx, from.sockets)
	if err != nil {
		return Probe{Flow: f, Saw: Unknown, Why: "could not be tried: " + err.Error(), Started: a.started}
	}
	socket := &socketFile{File: file}
	var asking sync.WaitGroup
	a.begin()
	asking.Go(func() { p.ask(ctx, a, socket, to, behind) })
	j, o := a.await(ctx, observe)
	_ = file.SetDeadline(time.Unix(1, 0)) // whoever still waits for it
	asking.Wait()
	return a.probe(j, o)
}

// ask does what the flow's protocol needs and tells the attempt how it went.
// It closes the socket.
func (p *Prober) ask(ctx context.Context, a *attempt, f *socketFile, to *station, behind listening) {
	defer func() { _ = f.Close() }()
	switch a.flow.Service.Protocol {
	case "tcp":
		p.askTCP(ctx, a, f, to, behind)
	case "udp":
		answer, err := a.sendUDP(f.File)
		if err == nil {
			id := identity{text: "a service of " + to.name}
			if behind.word != nil {
				right := string(answer) == string(a.nonce)+string(behind.word)
				id = identity{checked: true, right: right, text: "the harness's listener"}
				if !right {
					id.text = "something that says " + quote(answer)
				}
			} else if a.flow.Service.Name == "wireguard" {
				id = identity{checked: true, text: "something that answers junk"}
			}
			a.update(func(o *observation) { o.identity = id })
		}
		a.told(err)
	case "icmp":
		err := a.sendEcho(f.File)
		if err == nil {
			a.update(func(o *observation) {
				o.identity = identity{checked: true, right: true, text: "the echo with its nonce"}
			})
		}
		a.told(err)
	default:
		a.fail(fmt.Errorf("protocol %q is not known", a.flow.Service.Protocol))
	}
}

func (p *Prober) askTCP(ctx context.Context, a *attempt, f *socketFile, to *station, behind listening) {
	if err := a.connectTCP(f.File); err != nil {
		a.told(err)
		return
	}
	c, err := conn(f.take(), answerPatience)
	if err != nil {
		a.fail(err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	a.update(func(o *observation) { o.connected = true })
	id := identify(ctx, c, a.flow, to, behind.word)
	_ = c.Close()
	a.update(func(o *observation) { o.identity, o.outcome = id, answered })
}

// impossible says why a flow can't even be tried.
func (p *Prober) impossible(a *attempt, from, to *station) string {
	switch {
	case from == nil || to == nil:
		return "no such node in the lab"
	case from.sockets == nil:
		return from.name + ": the driver can't open sockets there"
	case !a.flow.Address.IsValid():
		return fmt.Sprintf("%s has no %s address on %s", to.name, a.flow.Family, a.flow.Over)
	}
	if a.flow.Family == LinkLocal {
		_, index, ok := from.linkLocal(a.flow.Over)
		if !ok {
			return fmt.Sprintf("%s has no %s address on %s", from.name, a.flow.Family, a.flow.Over)
		}
		a.zone = index
	}
	return ""
}

func (p *Prober) observe(a *attempt, behind listening) observation {
	o := a.snapshot()
	o.listener = behind.kind
	if behind.err != nil && o.failure == "" && o.outcome != answered {
		o.listener = listenerUnknown
	}
	o.neighbours = p.board.about(a.flow.Address.WithZone(""), a.started)
	o.left = p.stations[a.flow.From].able()
	o.blind = map[string]string{}
	for _, name := range []string{a.flow.From, a.flow.To} {
		o.blind[name] = p.stations[name].blindness()
	}
	o.tunnels = p.tunnels
	return o
}

func (p *Prober) owner(address netip.Addr) string {
	for _, name := range p.order {
		if p.stations[name].owns(address) {
			return name
		}
	}
	return ""
}

func (p *Prober) isRouters(address netip.Addr) bool {
	for _, m := range p.lab.Site().Nodes {
		if m.Role == topology.RoleRouter && p.stations[m.Name] != nil && p.stations[m.Name].owns(address) {
			return true
		}
	}
	return false
}

// locate gives the rules behind the verdicts their file and line.
func (p *Prober) locate(ctx context.Context, probes []Probe) error {
	deciding := map[string]bool{}
	for _, probe := range probes {
		if probe.Rule != nil {
			deciding[probe.Rule.Node] = true
		}
	}
	err := p.each(func(s *station) error {
		if !deciding[s.name] {
			return nil
		}
		return s.list(ctx)
	})
	if err != nil {
		return err
	}
	for i := range probes {
		r := probes[i].Rule
		if r == nil {
			continue
		}
		s := p.stations[r.Node]
		located, reason := s.locate(*r)
		if reason != "" {
			probes[i].Witness = append(probes[i].Witness, "no line: "+reason)
		}
		probes[i].Rule = &located
	}
	return nil
}

// list reads the node's rules and files as they are now.
func (s *station) list(ctx context.Context) error {
	result, err := s.node.Run(ctx, topology.Command{Argv: []string{"nft", "-a", "list", "ruleset"}})
	if err != nil {
		return fmt.Errorf("%s: list the rules: %w", s.name, err)
	}
	rules, err := filter.ParseRuleset(result.Stdout)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	saved, err := filter.ReadSaved(nodeFiles{ctx, s})
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.saved = rules, saved
	return nil
}

// locate completes a rule that the trace named. The trace knows the texts of
// when it started; the handle is the kernel's own.
func (s *station) locate(r filter.Rule) (filter.Rule, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if chain, ok := s.rules.Chain(r.Family, r.Table, r.Chain); ok && r.Handle != 0 {
		if at, ok := chain.Find(r.Handle, ""); ok {
			r.Text = chain.Rules[at].Text
		}
	}
	return s.saved.Locate(s.rules, r)
}

// nodeFiles reads a node's files as they are now. Patterns are resolved by the
// node's own shell.
type nodeFiles struct {
	ctx context.Context
	s   *station
}

func (n nodeFiles) Read(path string) ([]byte, error) { return get(n.ctx, n.s.node, path) }

func (n nodeFiles) Glob(pattern string) ([]string, error) {
	result, err := n.s.node.Run(n.ctx, topology.Command{Argv: []string{"sh", "-c", `for f in $0; do [ -e "$f" ] && printf '%s\n' "$f"; done; :`, pattern}})
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(splitLines(result.Stdout), func(s string) bool { return s == "" })
	slices.Sort(names)
	return names, nil
}
