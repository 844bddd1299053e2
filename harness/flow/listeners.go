package flow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/pbsdrill/pbsdrill/topology"
)

// listeners are ours, put behind judged ports where nothing listens, for the
// time of a probe, so that it is the filter which is judged.
type listeners struct {
	mu     sync.Mutex
	at     map[listenKey]listening
	open   []interface{ Close() error }
	served sync.WaitGroup
}

type listenKey struct {
	node    string
	address netip.Addr // without zone
	service topology.Service
}

// listening is what stands at one address and port.
type listening struct {
	kind listener
	word []byte // what ours says
	err  error  // why it is unknown
}

func newListeners() *listeners { return &listeners{at: map[listenKey]listening{}} }

// place makes sure that somebody listens where a flow goes.
func (ls *listeners) place(ctx context.Context, s *station, f Flow) {
	key := listenKey{s.name, f.Address, f.Service}
	ls.mu.Lock()
	_, done := ls.at[key]
	ls.mu.Unlock()
	if done || f.Service.Protocol == "icmp" {
		return
	}
	l := ls.listen(ctx, s, f)
	ls.mu.Lock()
	ls.at[key] = l
	ls.mu.Unlock()
}

// listen binds to the very address: a service of the node's own that is bound
// to another address, such as 127.0.0.1, is not behind this one.
func (ls *listeners) listen(ctx context.Context, s *station, f Flow) listening {
	host := f.Address.String()
	if f.Family == LinkLocal {
		_, index, ok := s.linkLocal(f.Over)
		if !ok {
			return listening{err: fmt.Errorf("%s has no link-local address on %s", s.name, f.Over)}
		}
		host += "%" + s.interfaceName(index)
	}
	address := net.JoinHostPort(host, fmt.Sprint(f.Service.Port))
	word := append([]byte("pbsdrill "), fmt.Appendf(nil, "%x\n", newNonce())...)
	var closer interface{ Close() error }
	var err error
	if f.Service.Protocol == "udp" {
		var c net.PacketConn
		if c, err = s.sockets.ListenPacket(ctx, "udp", address); err == nil {
			closer = c
			ls.served.Go(func() { echo(c, word) })
		}
	} else {
		var l net.Listener
		if l, err = s.sockets.Listen(ctx, "tcp", address); err == nil {
			closer = l
			ls.served.Go(func() { greet(l, word) })
		}
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return listening{kind: listenerReal}
	case err != nil:
		return listening{err: err}
	}
	ls.mu.Lock()
	ls.open = append(ls.open, closer)
	ls.mu.Unlock()
	return listening{kind: listenerOurs, word: word}
}

// greet says the word to whoever connects.
func greet(l net.Listener, word []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write(word) // who left early learns nothing
		_ = c.Close()
	}
}

// echo answers a datagram with itself and the word.
func echo(c net.PacketConn, word []byte) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(append(append([]byte(nil), buffer[:n]...), word...), from)
	}
}

func (ls *listeners) find(f Flow) listening {
	if f.Service.Protocol == "icmp" {
		return listening{kind: listenerKernel}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.at[listenKey{f.To, f.Address, f.Service}]
}

func (ls *listeners) close() {
	ls.mu.Lock()
	for _, c := range ls.open {
		_ = c.Close()
	}
	ls.open = nil
	ls.mu.Unlock()
	ls.served.Wait()
}
