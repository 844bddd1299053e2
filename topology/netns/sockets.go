package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

type socketRequest struct {
	Domain   int `json:"domain"`
	Type     int `json:"type"`
	Protocol int `json:"protocol"`
}

func (a *agent) socket(r *wire.Request) error {
	var q socketRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	fd, err := unix.Socket(q.Domain, q.Type|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, q.Protocol)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer func() { _ = f.Close() }()
	return r.Reply(nil, f)
}

type listenRequest struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

// listen binds here, since ports below 1024 need a capability over this
// network namespace, which the caller does not have.
func (a *agent) listen(r *wire.Request) error {
	var q listenRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	f, err := bound(q)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return r.Reply(nil, f)
}

func bound(q listenRequest) (*os.File, error) {
	var lc net.ListenConfig
	switch q.Network {
	case "tcp", "tcp4", "tcp6":
		l, err := lc.Listen(context.Background(), q.Network, q.Address)
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		return fileOf(l)
	case "udp", "udp4", "udp6":
		p, err := lc.ListenPacket(context.Background(), q.Network, q.Address)
		if err != nil {
			return nil, err
		}
		defer func() { _ = p.Close() }()
		return fileOf(p)
	}
	return nil, fmt.Errorf("listen on %s: %w", q.Network, syscall.EPROTONOSUPPORT)
}

func fileOf(socket any) (*os.File, error) {
	f, ok := socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", socket)
	}
	return f.File()
}

// interfaceReply is a [topology.Interface] before the site's network is known.
type interfaceReply struct {
	Name      string   `json:"name"`
	Index     int      `json:"index"`
	MAC       string   `json:"mac"`
	Kind      string   `json:"kind"` // the link's type: veth, wireguard, tun, …
	Addresses []string `json:"addresses"`
}

func (a *agent) interfaces(r *wire.Request) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	out := make([]interfaceReply, 0, len(links))
	for _, l := range links {
		addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
		}
		i := interfaceReply{Name: l.Attrs().Name, Index: l.Attrs().Index, MAC: l.Attrs().HardwareAddr.String(), Kind: l.Type()}
		for _, addr := range addrs {
			i.Addresses = append(i.Addresses, addr.IPNet.String())
		}
		out = append(out, i)
	}
	return r.Reply(out)
}
