package flow

import (
	"math/rand/v2"
	"sync"
)

// Source ports of probes come from below the kernel's own range (32768 to
// 60999, net.ipv4.ip_local_port_range), so that a port alone tells a probe
// from everything else; above 1023 since NAT keeps a port within its class.
const (
	firstPort = 10240
	lastPort  = 32767
)

// keys hands out source ports and echo ids. None comes back before all others
// were used, over every prober of this process: a tuple that conntrack still
// knows would not be a new connection.
type keys struct {
	mu   sync.Mutex
	next uint16
	set  bool
}

var sharedKeys keys

// start sets the first key, once; the seed makes a run repeatable.
func (k *keys) start(seed uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set {
		return
	}
	k.set = true
	k.next = firstPort + uint16(rand.New(rand.NewPCG(seed, 0)).IntN(lastPort-firstPort+1))
}

func (k *keys) take() uint16 {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.next
	if k.next++; k.next > lastPort {
		k.next = firstPort
	}
	return key
}

// isKey says whether a port or an echo id is a probe's.
func isKey(n uint16) bool { return n >= firstPort && n <= lastPort }
