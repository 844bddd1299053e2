package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
	"github.com/pbsdrill/pbsdrill/topology/netns/wireguard"
)

// The names under which this binary runs as a part of a lab.
const (
	stageName      = "pbsdrill-stage"
	supervisorName = "pbsdrill-lab"
	agentName      = "pbsdrill-node"
)

// A lab's processes are told apart before flags and test frameworks get to see
// the arguments; an init runs before both.
func init() {
	switch filepath.Base(os.Args[0]) {
	case stageName:
		os.Exit(stage())
	case supervisorName:
		os.Exit(exitCode(supervise()))
	case agentName:
		os.Exit(exitCode(serveNode()))
	case rootfs.Program:
		os.Exit(rootfs.Main(os.Args[1:]))
	}
	Register(wireguard.Program()) // for kernels without WireGuard
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
	return 1
}

// programs is made before any init runs.
var programs = struct {
	sync.Mutex
	all map[string]topology.Program
}{all: map[string]topology.Program{}}

// Register makes a program of ours available in every node. It is to be called
// from an init: when this very process was called by the program's name, it
// runs the program and does not return.
func Register(ps ...topology.Program) {
	for _, p := range ps {
		if filepath.Base(os.Args[0]) == p.Name {
			os.Exit(p.Main())
		}
		programs.Lock()
		programs.all[p.Name] = p
		programs.Unlock()
	}
}

func registered() []topology.Program {
	programs.Lock()
	defer programs.Unlock()
	all := make([]topology.Program, 0, len(programs.all))
	for _, p := range programs.all {
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
