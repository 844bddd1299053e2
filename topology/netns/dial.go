package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dial opens a connection from the node. The address is a literal: names are
// the business of the node's own programs.
func (n *node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s: dial %s: %w", n.name, address, err)
	}
	kind := unix.SOCK_STREAM
	if network == "udp" || network == "udp4" || network == "udp6" {
		kind = unix.SOCK_DGRAM
	}
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	f, err := n.Socket(ctx, domain, kind, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	target, err := n.sockaddr(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx, f, target); err != nil {
		return nil, fmt.Errorf("%s: dial %s %s: %w", n.name, network, address, err)
	}
	return net.FileConn(f)
}

// sockaddr resolves a zone among the node's interfaces, not this process's.
func (n *node) sockaddr(ctx context.Context, to netip.AddrPort) (unix.Sockaddr, error) {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if zone := to.Addr().Zone(); zone != "" {
		links, err := n.links(ctx)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if l.Name == zone {
				sa.ZoneId = uint32(l.Index)
			}
		}
		if sa.ZoneId == 0 {
			return nil, fmt.Errorf("%s has no interface %q", n.name, zone)
		}
	}
	return sa, nil
}

// connect is connect(2) on a non-blocking socket, until the context ends.
func connect(ctx context.Context, f *os.File, to unix.Sockaddr) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(aLongTimeAgo) })
	defer stop()
	asked := false
	var result error
	err = rc.Write(func(fd uintptr) bool {
		if !asked {
			asked = true
			result = unix.Connect(int(fd), to)
			return !errors.Is(result, unix.EINPROGRESS)
		}
		code, serr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		result = serr
		if serr == nil && code != 0 {
			result = syscall.Errno(code)
		}
		if result == nil {
			// Woken too early: not connected yet.
			if _, perr := unix.Getpeername(int(fd)); errors.Is(perr, unix.ENOTCONN) {
				return false
			}
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, result)
}
