package netns

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// gatherFacts says how the lab runs, for the report.
func (l *Lab) gatherFacts(ctx context.Context, root rootfs.Root) (topology.Facts, error) {
	f := topology.Facts{Driver: "netns", Boot: "interpreted", RootFS: root.String(), Tools: root.Packages, Weaker: l.weaker(root)}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		f.Kernel = strings.TrimSpace(string(release))
	}
	kinds := map[string]bool{}
	for _, m := range l.site.Nodes {
		n := l.nodes[m.Name]
		for _, note := range n.notes {
			f.Ignored = append(f.Ignored, m.Name+": "+note)
		}
		links, err := n.links(ctx)
		if err != nil {
			return f, err
		}
		for _, link := range links {
			if n.isTunnel(link.Name) {
				kinds[wireGuardKind(link.Kind)] = true
			}
		}
	}
	for _, kind := range []string{"kernel", "userspace"} {
		if kinds[kind] {
			f.WireGuard = strings.Trim(f.WireGuard+", "+kind, ", ")
		}
	}
	if kinds["userspace"] {
		f.Weaker = append(f.Weaker, "WireGuard runs in userspace here: what it does with DF and path MTU is not what the kernel's does")
	}
	for _, n := range l.site.Networks {
		if n.RoundTrip > 0 {
			f.Ignored = append(f.Ignored, fmt.Sprintf("%s: round-trip %v of network %s is not applied", n.At, n.RoundTrip, n.Name))
		}
	}
	return f, nil
}

// wireGuardKind tells the kernel's WireGuard from ours, which wg-quick starts
// where the kernel has none: its interface is a tun.
func wireGuardKind(link string) string {
	if link == "wireguard" {
		return "kernel"
	}
	return "userspace"
}
