package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// node is one running node, as the lab's owner holds it.
type node struct {
	name    string
	lab     *Lab
	machine *topology.Machine
	agent   *wire.Conn
	notes   []string // what its boot left out
}

var (
	_ topology.Node       = (*node)(nil)
	_ topology.Sockets    = (*node)(nil)
	_ topology.Starter    = (*node)(nil)
	_ topology.Booted     = (*node)(nil)
	_ topology.Interfaces = (*node)(nil)
)

func (n *node) Name() string { return n.name }

func (n *node) unpack(ctx context.Context, entries []entry) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	sent := make(chan error, 1)
	go func() {
		err := stream(w, entries)
		sent <- errors.Join(err, w.Close())
	}()
	_, err = n.agent.Do(ctx, opUnpack, unpackRequest{Single: n.lab.ids.Single != nil}, nil, r)
	_ = r.Close() // a sender that is still writing ends with EPIPE
	if serr := <-sent; err == nil {
		err = serr
	}
	return err
}

func (n *node) configure(ctx context.Context) error {
	q := configureRequest{
		Hosts:      hosts(n.machine),
		Forward:    n.machine.Role == topology.RoleRouter,
		Interfaces: addressings(n.lab.site, n.machine),
		NAT:        natScript(n.lab.site, n.machine),
	}
	if n.machine.NAT != nil {
		q.UDPTimeout = int(n.machine.NAT.UDPTimeout.Seconds())
	}
	for _, p := range registered() {
		if n.lab.isFixed(p.Path) {
			continue
		}
		q.Programs = append(q.Programs, nodeProgram{Path: p.Path, Units: p.Units})
	}
	_, err := n.agent.Do(ctx, opConfigure, q, nil)
	return err
}

func (n *node) bootUp(ctx context.Context) error {
	n.lab.progress("boot %s", n.name)
	var booted bootReply
	if _, err := n.agent.Do(ctx, opBoot, bootRequest{Single: n.lab.ids.Single != nil}, &booted); err != nil {
		return fmt.Errorf("boot %s: %w", n.name, n.lab.explainLack(err))
	}
	n.notes = booted.Notes
	return nil
}

// Get opens a file of the node.
func (n *node) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := n.open(ctx, openRequest{Path: path, Flags: os.O_RDONLY})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (n *node) open(ctx context.Context, q openRequest) (*os.File, error) {
	files, err := n.agent.Do(ctx, opOpen, q, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s: open %s: %d descriptors instead of 1", n.name, q.Path, len(files))
	}
	return files[0], nil
}

// Put writes beside the file and renames, so that nobody reads half of it.
func (n *node) Put(ctx context.Context, path string, r io.Reader, mode fs.FileMode) error {
	part := path + ".pbsdrill-part"
	f, err := n.open(ctx, openRequest{Path: part, Flags: os.O_CREATE | os.O_TRUNC | os.O_WRONLY, Mode: mode})
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		_, err = n.agent.Do(ctx, opRename, renameRequest{From: part, To: path}, nil)
	}
	if err != nil {
		_, rerr := n.agent.Do(context.WithoutCancel(ctx), opRemove, part, nil)
		return fmt.Errorf("%s: write %s: %w", n.name, path, errors.Join(err, rerr))
	}
	return nil
}

// Interfaces lists the node's interfaces as they are now.
func (n *node) Interfaces(ctx context.Context) ([]topology.Interface, error) {
	links, err := n.links(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]topology.Interface, 0, len(links))
	for _, l := range links {
		i := topology.Interface{Name: l.Name, Index: l.Index, MAC: l.MAC, Network: n.network(l.Name)}
		for _, a := range l.Addresses {
			p, err := netip.ParsePrefix(a)
			if err != nil {
				return nil, fmt.Errorf("%s: address of %s: %w", n.name, l.Name, err)
			}
			i.Addresses = append(i.Addresses, p)
		}
		out = append(out, i)
	}
	return out, nil
}

func (n *node) links(ctx context.Context) ([]interfaceReply, error) {
	var links []interfaceReply
	if _, err := n.agent.Do(ctx, opInterfaces, nil, &links); err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	return links, nil
}

func (n *node) network(iface string) string {
	for _, a := range n.machine.On {
		if a.Interface == iface {
			return a.Network
		}
	}
	return ""
}

// Units are the node's units after boot.
func (n *node) Units(ctx context.Context) ([]topology.UnitState, error) {
	var units []topology.UnitState
	if _, err := n.agent.Do(ctx, opUnits, nil, &units); err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	return units, nil
}

// Journal is what a unit printed.
func (n *node) Journal(ctx context.Context, unit string) ([]byte, error) {
	files, err := n.agent.Do(ctx, opJournal, unit, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s: journal of %s: %d descriptors instead of 1", n.name, unit, len(files))
	}
	defer func() { _ = files[0].Close() }()
	return io.ReadAll(files[0])
}

// Socket opens a socket in the node's network namespace.
func (n *node) Socket(ctx context.Context, domain, kind, protocol int) (*os.File, error) {
	files, err := n.agent.Do(ctx, opSocket, socketRequest{Domain: domain, Type: kind, Protocol: protocol}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s: socket: %d descriptors instead of 1", n.name, len(files))
	}
	return files[0], nil
}

// Listen binds and listens in the node.
func (n *node) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	f, err := n.listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return net.FileListener(f)
}

// ListenPacket binds a UDP socket in the node.
func (n *node) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	f, err := n.listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return net.FilePacketConn(f)
}

func (n *node) listen(ctx context.Context, network, address string) (*os.File, error) {
	files, err := n.agent.Do(ctx, opListen, listenRequest{Network: network, Address: address}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s: listen: %d descriptors instead of 1", n.name, len(files))
	}
	return files[0], nil
}

// isTunnel says whether an interface of this name is one of the site's tunnels.
func (n *node) isTunnel(iface string) bool {
	net, ok := n.lab.site.Network(n.network(iface))
	return ok && net.Tunnel && !strings.HasPrefix(iface, "lo")
}
