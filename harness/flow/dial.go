package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
)

// nonceLength makes two probes' answers impossible to confuse.
const nonceLength = 16

func newNonce() []byte {
	nonce := make([]byte, nonceLength)
	_, _ = rand.Read(nonce) // documented to never fail
	return nonce
}

// localError is one that the source's own kernel gave at once, before any
// packet could have come back.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

func sockaddr(address netip.Addr, port uint16, zone int) unix.Sockaddr {
	if address.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: address.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: address.As16(), ZoneId: uint32(zone)}
}

func domain(address netip.Addr) int {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func anyAddress(address netip.Addr) netip.Addr {
	if address.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// open makes the attempt's socket with its source port. The port is the key by
// which its packets are known all the way.
func (a *attempt) open(ctx context.Context, sockets topology.Sockets) (*os.File, error) {
	address := a.flow.Address
	kind, protocol, port := unix.SOCK_STREAM, 0, a.key
	switch a.flow.Service.Protocol {
	case "udp":
		kind = unix.SOCK_DGRAM
	case "icmp":
		kind, protocol, port = unix.SOCK_RAW, unix.IPPROTO_ICMP, 0
		if !address.Is4() {
			protocol = unix.IPPROTO_ICMPV6
		}
	}
	f, err := sockets.Socket(ctx, domain(address), kind, protocol)
	if err != nil {
		return nil, err
	}
	if port != 0 {
		if err := onDescriptor(f, func(fd int) error { return unix.Bind(fd, sockaddr(anyAddress(address), port, 0)) }); err != nil {
			return nil, errors.Join(fmt.Errorf("bind to port %d: %w", port, err), f.Close())
		}
	}
	return f, nil
}

// connectTCP starts a connection and waits for its outcome.
func (a *attempt) connectTCP(f *os.File) error {
	err := onDescriptor(f, func(fd int) error {
		return unix.Connect(fd, sockaddr(a.flow.Address, a.flow.Service.Port, a.zone))
	})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return localError{err}
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = err
			return true
		}
		if code != 0 {
			result = unix.Errno(code)
			return true
		}
		// Writable without an error may be from before connect was called.
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	return errors.Join(err, result)
}

// sendUDP sends the nonce and waits for what comes back.
func (a *attempt) sendUDP(f *os.File) ([]byte, error) {
	err := onDescriptor(f, func(fd int) error {
		if err := unix.Connect(fd, sockaddr(a.flow.Address, a.flow.Service.Port, a.zone)); err != nil {
			return err
		}
		_, err := unix.Write(fd, a.nonce)
		return err
	})
	if err != nil {
		return nil, localError{err}
	}
	return read(f)
}

// sendEcho sends an echo request and waits for the reply with its nonce.
func (a *attempt) sendEcho(f *os.File) error {
	v4 := a.flow.Address.Is4()
	m := icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{ID: int(a.key), Seq: 1, Data: a.nonce}}
	if v4 {
		m.Type = ipv4.ICMPTypeEcho
	}
	b, err := m.Marshal(nil) // the kernel does the checksum of ICMPv6
	if err != nil {
		return err
	}
	err = onDescriptor(f, func(fd int) error {
		if err := attach(fd, echoFilter(v4, a.key)); err != nil {
			return err
		}
		if err := unix.Connect(fd, sockaddr(a.flow.Address, 0, a.zone)); err != nil {
			return err
		}
		_, err := unix.Write(fd, b)
		return err
	})
	if err != nil {
		return localError{err}
	}
	for {
		reply, err := read(f)
		if err != nil {
			return err
		}
		if bytes.HasSuffix(reply, a.nonce) {
			return nil
		}
	}
}

// echoFilter leaves only replies to one probe; else each raw socket of a node
// would get all of them.
func echoFilter(v4 bool, id uint16) []bpf.Instruction {
	header, reply := bpf.Instruction(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}), uint32(ipv6.ICMPTypeEchoReply)
	if v4 {
		// A raw IPv4 socket gets the network header too.
		header, reply = bpf.LoadMemShift{Off: 0}, uint32(ipv4.ICMPTypeEchoReply)
	}
	return []bpf.Instruction{
		header,
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: reply, SkipTrue: 3},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(id), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// read takes one datagram; the file is one of a socket, and reads of it wait.
func read(f *os.File) ([]byte, error) {
	buffer := make([]byte, 2048)
	n, err := f.Read(buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buffer[:n], nil
}

// conn turns a connected socket into a connection. The file is taken over.
func conn(f *os.File, within time.Duration) (net.Conn, error) {
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(within))
}

// socketFile is a socket that may have become a connection.
type socketFile struct {
	*os.File
	taken bool
}

// take hands the descriptor over to somebody who closes it.
func (s *socketFile) take() *os.File {
	s.taken = true
	return s.File
}

// Close closes the socket unless somebody else has it.
func (s *socketFile) Close() error {
	if s.taken {
		return nil
	}
	return s.File.Close()
}

func sendTo(fd int, data []byte, to netip.Addr, port uint16) error {
	return unix.Sendto(fd, data, 0, sockaddr(to, port, 0))
}

func splitLines(b []byte) []string {
	var out []string
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		out = append(out, string(line))
	}
	return out
}
