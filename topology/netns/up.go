package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// Up brings a site up: when it returns, every node has booted what its files
// enable. A unit that failed is no error here, since a broken file is what
// people want to see judged; ask the nodes for their units.
func Up(ctx context.Context, site *topology.Site, o Options) (*Lab, error) {
	if o.Disk == "" {
		o.Disk = "50%"
	}
	root, err := Root(ctx, site, o.Progress)
	if err != nil {
		return nil, err
	}
	l := &Lab{site: site, options: o, ids: idsOf(os.Geteuid()), secrets: newSecrets(o.Secret), nodes: map[string]*node{}}
	if err := l.start(); err != nil {
		return nil, err
	}
	if err := l.raise(ctx, root); err != nil {
		err = l.because(err)
		return nil, errors.Join(err, l.Down(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// because adds what the lab's own processes said when they died.
func (l *Lab) because(err error) error {
	if said := strings.TrimSpace(l.log.String()); said != "" {
		return fmt.Errorf("bring %s up: %w (%s)", l.site.Name, err, said)
	}
	return fmt.Errorf("bring %s up: %w", l.site.Name, err)
}

// start starts the supervisor in its namespaces.
func (l *Lab) start() error {
	control, theirs, err := wire.Pair()
	if err != nil {
		return err
	}
	defer func() { _ = theirs.Close() }()
	log, stderr, err := newTail()
	if err != nil {
		return err
	}
	defer func() { _ = stderr.Close() }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer func() { _ = null.Close() }()
	name := supervisorName
	argv := []string{name, l.site.Name}
	if l.options.Mark != "" {
		argv = append(argv, l.options.Mark)
	}
	const flags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	p, err := enter(argv, flags, [3]*os.File{null, stderr, stderr}, theirs)
	if err != nil {
		return errors.Join(err, control.Close(), log.Close())
	}
	l.supervisor, l.control, l.log = p, control, log
	return nil
}

func (l *Lab) raise(ctx context.Context, root rootfs.Root) error {
	setup := setupRequest{RootFS: root.Dir, Borrowed: l.borrowing(root), Disk: l.options.Disk, Networks: cableNetworks(l.site)}
	var able setupReply
	if _, err := l.control.Do(ctx, opSetup, setup, &able); err != nil {
		return explainMounts(err)
	}
	l.composed, l.fixed = len(root.Borrowed) > 0, able.Fixed
	if err := l.layable(); err != nil {
		return err
	}
	if !able.KernelWireGuard && hasTunnels(l.site) {
		if err := TunReady(); err != nil {
			return fmt.Errorf("the kernel has no WireGuard, and %w", err)
		}
	}
	var mu sync.Mutex
	err := l.eachNode(l.site.Nodes, func(m *topology.Machine) error {
		n, err := l.raiseNode(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		mu.Lock()
		l.nodes[m.Name] = n
		mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	var first, last []*topology.Machine
	for _, m := range l.site.Nodes {
		if dials(l.site, m) {
			last = append(last, m)
		} else {
			first = append(first, m)
		}
	}
	for _, group := range [][]*topology.Machine{first, last} {
		if err := l.eachNode(group, func(m *topology.Machine) error { return l.nodes[m.Name].bootUp(ctx) }); err != nil {
			return err
		}
	}
	l.facts, err = l.gatherFacts(ctx, root)
	return err
}

// eachNode does something for several nodes at once and tells every failure.
func (l *Lab) eachNode(ms []*topology.Machine, do func(*topology.Machine) error) error {
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() { errs[i] = do(m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// raiseNode starts a node with its cables, files and addresses, not booted yet.
func (l *Lab) raiseNode(ctx context.Context, m *topology.Machine) (*node, error) {
	entries, err := disk(m, l.secrets)
	if err != nil {
		return nil, err
	}
	var started startNodeReply
	files, err := l.control.Do(ctx, opStartNode, startNodeRequest{Name: m.Name}, &started)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("start: %d descriptors instead of 1", len(files))
	}
	agent, err := wire.FromFile(files[0])
	if err != nil {
		return nil, err
	}
	n := &node{name: m.Name, lab: l, machine: m, agent: agent}
	if err := n.unpack(ctx, entries); err != nil {
		return nil, errors.Join(err, agent.Close())
	}
	if _, err := l.control.Do(ctx, opAttach, attachRequest{Node: m.Name, Links: cables(l.site, m)}, nil); err != nil {
		return nil, errors.Join(err, agent.Close())
	}
	if err := n.configure(ctx); err != nil {
		return nil, errors.Join(l.explainLack(err), agent.Close())
	}
	return n, nil
}

// explainMounts names the usual reason why a user namespace exists and yet
// may not mount: Ubuntu's AppArmor rule takes its capabilities away.
func explainMounts(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return explainUserns(err)
	}
	return err
}

func hasTunnels(site *topology.Site) bool {
	return slices.ContainsFunc(site.Networks, func(n *topology.Network) bool { return n.Tunnel })
}
