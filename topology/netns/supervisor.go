package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology/netns/child"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// controlFD is the descriptor of a lab process's control socket (see enter).
const controlFD = 4

// Where things are inside a lab, once the supervisor has left the machine's
// files.
const (
	labRoot  = "/rootfs"               // the Debian root, as the overlays' lower layer
	labDev   = "/dev"                  // device nodes that every node gets
	labNodes = "/nodes"                // a node's disk: /nodes/NAME/{upper,work,root}
	labSelf  = "/bin/pbsdrill"         // this binary
	nodeSelf = "/run/pbsdrill/program" // the same, inside a node
)

var labDevices = []string{"null", "zero", "full", "random", "urandom", "tty", "net/tun"}

// The requests that a supervisor answers.
const (
	opSetup     = "setup"
	opStartNode = "start-node"
	opKillNode  = "kill-node"
	opAttach    = "attach"
	opMemory    = "memory"
)

type setupRequest struct {
	RootFS   string    `json:"rootfs"`
	Borrowed borrowing `json:"borrowed"`
	Disk     string    `json:"disk"` // tmpfs size of all disks together
	Networks []string  `json:"networks"`
}

type setupReply struct {
	KernelWireGuard bool     `json:"kernelWireGuard"`
	Fixed           []string `json:"fixed"` // borrowed folders that nothing can be laid over
}

type startNodeRequest struct {
	Name string `json:"name"`
}

type startNodeReply struct {
	PID int `json:"pid"` // inside the lab
}

// supervisor is PID 1 of a lab.
type supervisor struct {
	children *child.Reaper
	loans    []loan // set once, before any node starts
	mu       sync.Mutex
	pids     map[string]int
}

// supervise runs a lab until its owner's end of the socket closes.
func supervise() error {
	control, err := wire.FromFile(os.NewFile(controlFD, "control"))
	if err != nil {
		return err
	}
	s := &supervisor{children: child.NewReaper(), pids: map[string]int{}}
	// Returning ends PID 1, and with it every process of the lab.
	return wire.Serve(control, map[string]wire.Handler{
		opSetup:     s.setup,
		opStartNode: s.startNode,
		opKillNode:  s.killNode,
		opAttach:    s.attach,
		opMemory:    s.memory,
	})
}

func (s *supervisor) setup(r *wire.Request) error {
	var q setupRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	loans, err := labMounts(q)
	if err != nil {
		return err
	}
	s.loans = loans
	if err := labNetwork(q.Networks); err != nil {
		return err
	}
	return r.Reply(setupReply{KernelWireGuard: kernelWireGuard(), Fixed: fixed(loans)})
}

// labMounts leaves the machine's files for a tmpfs that holds what a lab
// needs. /tmp is only a place to mount on that exists everywhere.
func labMounts(q setupRequest) ([]loan, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	rootfs, err := unix.Open(q.RootFS, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root file system %s: %w", q.RootFS, err)
	}
	defer func() { _ = unix.Close(rootfs) }()
	const base = "/tmp"
	if err := unix.Mount("pbsdrill", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size="+q.Disk); err != nil {
		return nil, fmt.Errorf("mount the lab's disk (%s): %w", q.Disk, err)
	}
	for _, dir := range []string{labRoot, labDev + "/net", labNodes, filepath.Dir(labSelf), "/proc", "/sys", "/tmp"} {
		if err := os.MkdirAll(base+dir, 0o755); err != nil {
			return nil, fmt.Errorf("make the lab's folders: %w", err)
		}
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", rootfs), base+labRoot, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("bind the root file system: %w", err)
	}
	loans, err := borrow(base, q.Borrowed)
	if err != nil {
		return nil, err
	}
	if err := bindDevices(base + labDev); err != nil {
		return nil, err
	}
	if err := copySelf(base + labSelf); err != nil {
		return nil, err
	}
	// Where cgo was on, this binary wants a loader and a libc: the root's.
	for _, dir := range []string{"/lib", "/lib64"} {
		if err := os.Symlink(labRoot+"/usr"+dir, base+dir); err != nil {
			return nil, fmt.Errorf("make the lab's folders: %w", err)
		}
	}
	if err := unix.Mount("proc", base+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("sysfs", base+"/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount /sys: %w", err)
	}
	return loans, pivot(base)
}

// pivot makes dir, which is a mount point, the root, and lets go of the old
// one: pivot_root(".", ".") stacks it beneath, see pivot_root(2).
func pivot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root to %s: %w", dir, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/")
}

func bindDevices(dir string) error {
	for _, name := range labDevices {
		if _, err := os.Stat("/dev/" + name); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := bindFile("/dev/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// bindFile makes an empty file at target and mounts source on it.
func bindFile(source, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("bind %s: %w", source, err)
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("bind %s: %w", source, err)
	}
	_ = f.Close()
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", source, err)
	}
	return nil
}

// copySelf copies this binary into the lab: a test's lies in a folder that is
// deleted while it runs, and the nodes share the pages of one copy.
func copySelf(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("open this binary: %w", err)
	}
	defer func() { _ = from.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("copy this binary into the lab: %w", err)
	}
	if _, err := out.ReadFrom(from); err != nil {
		_ = out.Close()
		return fmt.Errorf("copy this binary into the lab: %w", err)
	}
	return out.Close()
}

func (s *supervisor) startNode(r *wire.Request) error {
	var q startNodeRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	disk := filepath.Join(labNodes, q.Name)
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(disk, dir), 0o755); err != nil {
			return fmt.Errorf("make the disk of %s: %w", q.Name, err)
		}
	}
	ours, theirs, err := wire.Pair()
	if err != nil {
		return err
	}
	defer func() { _ = ours.Close() }()
	defer func() { _ = theirs.Close() }()
	end, err := ours.File()
	if err != nil {
		return err
	}
	defer func() { _ = end.Close() }()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	defer func() { _ = null.Close() }()
	argv := []string{agentName, q.Name}
	for _, l := range s.loans {
		argv = append(argv, l.String())
	}
	pid, exited, err := s.children.Start(child.Spec{
		Path: labSelf, Argv: argv, Dir: "/",
		Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "GOMEMLIMIT=24MiB", "GOGC=50"},
		Files: []uintptr{null.Fd(), 2, 2, null.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Setsid:     true,
		},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pids[q.Name] = pid
	s.mu.Unlock()
	go func() {
		<-exited
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pids[q.Name] == pid {
			delete(s.pids, q.Name)
		}
	}()
	return r.Reply(startNodeReply{PID: pid}, end)
}

func (s *supervisor) killNode(r *wire.Request) error {
	var q startNodeRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	pid, err := s.pid(q.Name)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", q.Name, err)
	}
	return r.Reply(nil)
}

func (s *supervisor) pid(node string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, ok := s.pids[node]
	if !ok {
		return 0, fmt.Errorf("%s is not running", node)
	}
	return pid, nil
}
