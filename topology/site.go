package topology

import (
	"io/fs"
	"net/netip"
	"time"
)

// Site is a folder: site.yaml plus the files of each node.
type Site struct {
	Dir   string // the folder, absolute
	Name  string
	About string

	Driver string // "netns" when the file is silent
	RootFS string // another root file system for the nodes: a folder or a tarball, absolute; "" is the built-in one

	Networks []*Network // in the file's order; tunnels, which come from the nodes' WireGuard files, last
	Nodes    []*Machine // in the file's order
	Services []Service  // every known service: the built-in ones, then the site's own
	Promises Promises
	Waivers  []Waiver

	hash         string
	placeholders []Placeholder
}

// Network is one layer 2 segment, or a tunnel.
type Network struct {
	Name      string
	IPv4      netip.Prefix // zero: none
	IPv6      netip.Prefix // zero: none
	RoundTrip time.Duration
	Tunnel    bool // made of the nodes' wg files, not of a cable
	At        Position
}

// Machine is what a site says of one node; a running one is a [Node].
type Machine struct {
	Name   string
	Role   string // hypervisor, backup-server, router, client, server
	On     []Attachment
	NAT    *NAT              // routers only: masquerade what leaves by the network that has the default route
	Mounts map[string]string // mount point → the node that serves it
	Guests map[string]string // guest id → size, as written
	Files  []File            // nodes/<node>/, sorted by path; of folders only those whose mode matters
	At     Position

	tunnels map[string]WireGuard // by interface
}

// Attachment puts a node on a network. A node with two attachments to one
// network has two interfaces there.
type Attachment struct {
	Network   string
	Interface string // eth0, eth1, … in the file's order; wg0 for a tunnel
	Addresses []netip.Addr
	At        Position
}

// NAT is what a home router does to packets that leave by its outer network.
type NAT struct {
	UDPTimeout time.Duration // zero: the kernel's own
	At         Position
}

// File is one file of nodes/<node>/ as the node will have it.
type File struct {
	Path   string      // inside the node, absolute: /etc/nftables.conf
	Source string      // on this machine
	Mode   fs.FileMode // permission bits and type; links have fs.ModeSymlink
	Target string      // of a symbolic link
	Owner  string      // user name inside the node
	Group  string
	At     Position // nodes/<node>/etc/nftables.conf
}

// Service is something that can be reached: a name for a protocol and a port.
type Service struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // tcp, udp, icmp
	Port     uint16 `json:"port,omitempty"`
}

// Promises is what a site claims.
type Promises struct {
	Reach     []Reach     // all that is open
	Silent    []string    // nodes at which closed means dropped, not refused
	Limits    []Limit     // how many new connections pass
	Logins    []Login     // how one may log in
	Leaves    []Leave     // by which network a node's own programs go out
	Persist   []Persist   // nodes whose loaded rules are the saved ones
	Undecided []Undecided // accepted by the loader, judged by a later release; counted as not tested
}

// Reach is one line of promises.reach: every flow that it names is open.
type Reach struct {
	Text     string   // as written: "vps -> pbs-local over wg0: [pbs, ping]"
	From     []string // nodes, expanded; sorted as the site's nodes are
	To       []string // nodes, expanded
	Over     string   // network or tunnel; "" is every path
	Services []string // service names, expanded ("any" is all of them)
	At       Position
}

// Limit is one line of promises.limits: of the new connections that one
// address makes within Within, Passes get through.
type Limit struct {
	Text    string // "ssh at vps: 4 per 60s"
	Node    string
	Service string
	Passes  int
	Within  time.Duration
	At      Position
}

// Login is one line of promises.logins.
type Login struct {
	Text string // "root at vps: keys only"
	User string
	Node string
	At   Position
}

// Leave is one line of promises.leaves: the program's configured peer is
// reached over the network.
type Leave struct {
	Text    string // "zabbix-agent at vps: wg0"
	Program string
	Node    string
	Over    string
	At      Position
}

// Persist is one node of promises.persist.
type Persist struct {
	Node string
	At   Position
}

// Undecided is a promise that this release cannot judge.
type Undecided struct {
	Name string // the key under promises, such as offsite
	At   Position
}

// Waiver names findings exactly, says why they are accepted, and until when.
// A finding equals a waiver when promise, flow, seen and cause are equal.
type Waiver struct {
	Promise string
	Flows   []string // each as a finding prints it: "stranger -> vps pbs ipv6"
	Seen    string
	Cause   string
	Because string
	Until   time.Time // the last day, UTC
	At      Position
}
