package topology

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"
)

// Lab is a running site.
type Lab interface {
	Site() *Site
	Node(name string) (Node, error) // error: the site has no such node, or it is not running
	Facts() Facts
	// Down removes the lab. It may be called twice.
	Down(ctx context.Context) error
}

// Node is one machine of a lab, whatever runs it. Everything beyond these
// verbs is an ability: an interface of its own that a driver's node may have.
type Node interface {
	Name() string
	// Run runs a command. The error means that it did not run; an exit code
	// other than zero is a result.
	Run(ctx context.Context, c Command) (Result, error)
	// Get opens a file of the node. A missing file is fs.ErrNotExist.
	Get(ctx context.Context, path string) (io.ReadCloser, error)
	// Put writes a file of the node, atomically, making its folders.
	Put(ctx context.Context, path string, r io.Reader, mode fs.FileMode) error
	// Dial opens a connection from the node. The error keeps the errno.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Command is something to run on a node: an argv, never a joined string.
type Command struct {
	Argv  []string
	Stdin io.Reader
	Env   []string // added to the node's own
	Dir   string
	// Stdout and Stderr, where set, take the streams instead of the result.
	Stdout, Stderr io.Writer
}

// Result is what a command that ran did. Streams are bounded; Truncated says
// that there was more.
type Result struct {
	Stdout, Stderr []byte
	Truncated      bool
	Exit           int    // 128+n when a signal ended it
	Signal         string // "killed"; "" when it exited by itself
	Started        time.Time
	Duration       time.Duration
}

// Sockets is the ability to open a socket in a node's network namespace and
// use it from here. The file is non-blocking and closed on exec.
type Sockets interface {
	// Socket is socket(2) in the node.
	Socket(ctx context.Context, domain, kind, protocol int) (*os.File, error)
	// Listen is bind and listen in the node; an address in use is EADDRINUSE.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// ListenPacket is bind in the node, for udp.
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
}

// Starter is the ability to start a command that runs on, such as a monitor.
type Starter interface {
	Start(ctx context.Context, c Command) (Process, error)
}

// Terminals is the ability to run a command on a terminal of its own.
type Terminals interface {
	// Terminal starts the command on a new terminal of the node and returns
	// the terminal's other end, which is the caller's to close. Reading it
	// ends with EIO when the command has.
	Terminal(ctx context.Context, c Command) (*os.File, Process, error)
}

// Process is a command under way on a node.
type Process interface {
	// Wait returns when the command has ended.
	Wait(ctx context.Context) (Result, error)
	// Kill ends the command and everything that it started.
	Kill() error
}

// Booted is the ability to tell how a node came up.
type Booted interface {
	Units(ctx context.Context) ([]UnitState, error)
	// Journal is what the unit printed.
	Journal(ctx context.Context, unit string) ([]byte, error)
}

// UnitState is one unit after boot.
type UnitState struct {
	Name     string        `json:"name"`
	State    string        `json:"state"` // active, failed, inactive; systemd's own words
	Result   string        `json:"result,omitempty"`
	Position string        `json:"position,omitempty"` // of the line that failed
	Took     time.Duration `json:"took"`
}

// Interfaces is the ability to tell a node's interfaces and addresses as they
// are now.
type Interfaces interface {
	Interfaces(ctx context.Context) ([]Interface, error)
}

// Interface is one network interface of a running node.
type Interface struct {
	Name      string         `json:"name"`
	Index     int            `json:"index"`
	MAC       string         `json:"mac,omitempty"`
	Network   string         `json:"network,omitempty"` // the site's network, or the tunnel's name
	Addresses []netip.Prefix `json:"addresses"`         // link-local ones too
}

// Facts is what a report must say about how a lab was run.
type Facts struct {
	Driver    string            `json:"driver"`
	Boot      string            `json:"boot"`      // interpreted, systemd, real
	WireGuard string            `json:"wireguard"` // kernel, userspace
	RootFS    string            `json:"rootfs"`    // "debian 13, sha256:…"
	Kernel    string            `json:"kernel"`
	Tools     map[string]string `json:"tools"`   // name → version
	Weaker    []string          `json:"weaker"`  // what this machine could not offer, and what that weakens
	Ignored   []string          `json:"ignored"` // what the site asks for and this driver does not do yet
}

// Recorder is told of every command that a lab's nodes ran. It must be quick
// and safe for concurrent use.
type Recorder interface {
	Command(node string, c Command, r Result, err error)
}
