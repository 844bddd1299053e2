package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
)

// snap is how much of a packet a witness keeps: headers, and what an ICMP error
// quotes.
const snap = 192

// witness is a packet socket on every interface of a node.
type witness struct {
	file *os.File
	done sync.WaitGroup
}

// capture is one packet as a witness saw it.
type capture struct {
	at        time.Time
	index     int  // of the interface
	out       bool // it left
	ethertype uint16
	data      []byte // from the network header on
	packet    packet
}

// watch opens a packet socket in the node and hands on what concerns probes. It
// is cooked (SOCK_DGRAM), so that tunnels, which have no link header, look like
// cables.
func watch(ctx context.Context, sockets topology.Sockets, each func(capture)) (*witness, error) {
	file, err := sockets.Socket(ctx, unix.AF_PACKET, unix.SOCK_DGRAM, int(swap(unix.ETH_P_ALL)))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), file.Close())
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = attach(int(fd), probeFilter())
		// As much as the machine allows; a burst of probes is some megabytes.
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
	})
	if err = errors.Join(err, setErr); err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), file.Close())
	}
	w := &witness{file: file}
	w.done.Go(func() {
		buffer := make([]byte, 2048)
		for {
			c, ok := receive(raw, buffer)
			if !ok {
				return
			}
			if p, concerns := parsePacket(c.ethertype, c.data); concerns {
				c.packet = p
				each(c)
			}
		}
	})
	return w, nil
}

type rawReader interface {
	Read(func(fd uintptr) bool) error
}

func receive(raw rawReader, buffer []byte) (capture, bool) {
	var c capture
	good := false
	err := raw.Read(func(fd uintptr) bool {
		n, from, err := unix.Recvfrom(int(fd), buffer, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return false
		}
		if errors.Is(err, unix.ENETDOWN) {
			return false // an interface went down; the socket stays
		}
		ll, isLink := from.(*unix.SockaddrLinklayer)
		if err != nil || !isLink {
			return true
		}
		c = capture{
			at: time.Now(), index: ll.Ifindex, out: ll.Pkttype == unix.PACKET_OUTGOING,
			ethertype: swap(ll.Protocol), data: append([]byte(nil), buffer[:min(n, snap)]...),
		}
		good = true
		return true
	})
	return c, err == nil && good
}

func (w *witness) close() error {
	if w == nil {
		return nil
	}
	err := w.file.Close()
	w.done.Wait()
	return err
}

// swap turns host into network order of a 16 bit number and back.
func swap(n uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], n)
	return binary.BigEndian.Uint16(b[:])
}

func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filters := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filters[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// Offsets from the network header, which is where a cooked packet begins.
const (
	ip4Protocol = 9
	ip6Protocol = 6
	ip6Header   = 40
	tcpFlags    = 13
)

// probeFilter lets ARP, ICMP, and TCP and UDP from or to a probe's port
// through; of TCP only what opens or refuses a connection, so that a backup
// that runs meanwhile costs nothing.
func probeFilter() []bpf.Instruction {
	const accept, drop = "accept", "drop"
	var a assembler
	a.add(bpf.LoadExtension{Num: bpf.ExtProto})
	a.jump(unix.ETH_P_ARP, accept)
	a.jump(unix.ETH_P_IPV6, "ip6")
	a.unless(unix.ETH_P_IP, drop)
	a.add(bpf.LoadAbsolute{Off: ip4Protocol, Size: 1})
	a.jump(unix.IPPROTO_ICMP, accept)
	a.jump(unix.IPPROTO_TCP, "tcp4")
	a.unless(unix.IPPROTO_UDP, drop)
	a.add(bpf.LoadMemShift{Off: 0})
	a.ports(0)
	a.label("tcp4")
	a.add(bpf.LoadMemShift{Off: 0})
	a.add(bpf.LoadIndirect{Off: tcpFlags, Size: 1})
	a.flags()
	a.ports(0)
	a.label("ip6")
	a.add(bpf.LoadAbsolute{Off: ip6Protocol, Size: 1})
	a.jump(unix.IPPROTO_ICMPV6, accept)
	a.add(bpf.LoadConstant{Dst: bpf.RegX, Val: ip6Header})
	a.jump(unix.IPPROTO_UDP, "udp6")
	a.unless(unix.IPPROTO_TCP, drop)
	a.add(bpf.LoadIndirect{Off: tcpFlags, Size: 1})
	a.flags()
	a.label("udp6")
	a.ports(0)
	a.label(accept)
	a.add(bpf.RetConstant{Val: snap})
	a.label(drop)
	a.add(bpf.RetConstant{Val: 0})
	return a.link()
}

// assembler is classic BPF with labels; jumps only go forward.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int
	holes  []hole
}

type hole struct {
	at     int
	yes    string // where to go when the test holds; "" is on
	no     string
	always string
}

func (a *assembler) add(i bpf.Instruction) { a.code = append(a.code, i) }

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = map[string]int{}
	}
	a.labels[name] = len(a.code)
}

func (a *assembler) jump(value uint32, to string) {
	a.holes = append(a.holes, hole{at: len(a.code), yes: to})
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: value})
}

func (a *assembler) unless(value uint32, to string) {
	a.holes = append(a.holes, hole{at: len(a.code), no: to})
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: value})
}

// flags drops what has neither SYN nor RST.
func (a *assembler) flags() {
	a.holes = append(a.holes, hole{at: len(a.code), no: "drop"})
	a.add(bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x06})
}

// ports accepts when either port is a probe's; X holds the header's length.
func (a *assembler) ports(offset uint32) {
	for _, at := range []uint32{offset, offset + 2} {
		a.add(bpf.LoadIndirect{Off: at, Size: 2})
		a.add(bpf.JumpIf{Cond: bpf.JumpLessThan, Val: firstPort, SkipTrue: 1})
		a.holes = append(a.holes, hole{at: len(a.code), yes: "accept"})
		a.add(bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: lastPort})
	}
	a.holes = append(a.holes, hole{at: len(a.code), always: "drop"})
	a.add(bpf.Jump{})
}

func (a *assembler) link() []bpf.Instruction {
	for _, h := range a.holes {
		skip := func(label string) uint8 {
			if label == "" {
				return 0
			}
			return uint8(a.labels[label] - h.at - 1)
		}
		switch i := a.code[h.at].(type) {
		case bpf.JumpIf:
			i.SkipTrue, i.SkipFalse = skip(h.yes), skip(h.no)
			a.code[h.at] = i
		case bpf.Jump:
			i.Skip = uint32(a.labels[h.always] - h.at - 1)
			a.code[h.at] = i
		}
	}
	return a.code
}
