package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology/netns/child"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// The requests that an agent answers.
const (
	opConfigure  = "configure"
	opUnpack     = "unpack"
	opBoot       = "boot"
	opSpawn      = "spawn"
	opSocket     = "socket"
	opListen     = "listen"
	opOpen       = "open"
	opRename     = "rename"
	opRemove     = "remove"
	opInterfaces = "interfaces"
	opUnits      = "units"
	opJournal    = "journal"
)

// agent is PID 1 of a node.
type agent struct {
	name     string
	children *child.Reaper
	boot     bootState
}

// serveNode makes this process the node that argv[1] names, with the borrowed
// folders of the arguments after it, and answers requests until the lab's owner
// has gone.
func serveNode() error {
	control, err := wire.FromFile(os.NewFile(controlFD, "control"))
	if err != nil {
		return err
	}
	a := &agent{name: os.Args[1], children: child.NewReaper()}
	unix.Umask(0o022)
	loans, err := parseLoans(os.Args[2:])
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	if err := nodeMounts(filepath.Join(labNodes, a.name), loans); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	if err := unix.Sethostname([]byte(a.name)); err != nil {
		return fmt.Errorf("%s: set the host name: %w", a.name, err)
	}
	if err := quietNetwork(); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	return wire.Serve(control, map[string]wire.Handler{
		opConfigure:  a.configure,
		opUnpack:     a.unpack,
		opBoot:       a.bootUnits,
		opSpawn:      a.spawn,
		opSocket:     a.socket,
		opListen:     a.listen,
		opOpen:       a.open,
		opRename:     a.rename,
		opRemove:     a.remove,
		opInterfaces: a.interfaces,
		opUnits:      a.units,
		opJournal:    a.journal,
	})
}

// nodeMounts makes the node's own file system tree and leaves the lab's.
func nodeMounts(disk string, loans []loan) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	root := filepath.Join(disk, "root")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,userxattr", labRoot, disk, disk)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the node's disk: %w", err)
	}
	for _, l := range loans {
		if err := l.mount(disk, root); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		source, target, kind, data string
		flags                      uintptr
	}{
		{"proc", "/proc", "proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"sysfs", "/sys", "sysfs", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"dev", "/dev", "tmpfs", "mode=0755,size=1m", unix.MS_NOSUID | unix.MS_NOEXEC},
		{"run", "/run", "tmpfs", "mode=0755,size=64m", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmp", "/tmp", "tmpfs", "mode=1777,size=512m", unix.MS_NOSUID | unix.MS_NODEV},
	} {
		if err := mountAt(root, m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	if err := nodeDevices(root); err != nil {
		return err
	}
	if err := bindFile(labSelf, root+nodeSelf); err != nil {
		return err
	}
	if err := os.MkdirAll(root+"/run/lock", 0o1777); err != nil {
		return fmt.Errorf("make /run/lock: %w", err)
	}
	return pivot(root)
}

func mountAt(root, source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(root+target, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	if err := unix.Mount(source, root+target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

func nodeDevices(root string) error {
	for _, name := range labDevices {
		if _, err := os.Stat(filepath.Join(labDev, name)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := bindFile(filepath.Join(labDev, name), filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	if err := mountAt(root, "devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := mountAt(root, "shm", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=64m"); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(root, "dev", name)); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	return nil
}

// quietNetwork brings the loopback up and stops what an IPv6 interface would
// do by itself: two seconds of duplicate address detection, also for its
// link-local address, and listening to router advertisements.
func quietNetwork() error {
	for _, kind := range []string{"all", "default"} {
		for _, s := range []struct{ name, value string }{{"accept_dad", "0"}, {"dad_transmits", "0"}, {"accept_ra", "0"}} {
			if err := writeSysctl("net/ipv6/conf/"+kind+"/"+s.name, s.value); err != nil {
				return err
			}
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring the loopback up: %w", err)
	}
	return nil
}

// writeSysctl sets a value; a kernel without the subsystem is no error.
func writeSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o600)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set %s to %s: %w", strings.ReplaceAll(name, "/", "."), value, err)
	}
	return nil
}

type configureRequest struct {
	Hosts      string        `json:"hosts"` // /etc/hosts
	Forward    bool          `json:"forward"`
	Interfaces []addressing  `json:"interfaces"`
	Programs   []nodeProgram `json:"programs"`
	NAT        string        `json:"nat"`        // an nft script
	UDPTimeout int           `json:"udpTimeout"` // seconds; zero: the kernel's own
}

// nodeProgram is a [topology.Program] as a node needs it.
type nodeProgram struct {
	Path  string            `json:"path"`
	Units map[string][]byte `json:"units"`
}

func (a *agent) configure(r *wire.Request) error {
	var q configureRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	for path, content := range map[string]string{"/etc/hostname": a.name + "\n", "/etc/hosts": q.Hosts} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	for _, p := range q.Programs {
		if err := installProgram(p); err != nil {
			return err
		}
	}
	if q.Forward {
		if err := errors.Join(writeSysctl("net/ipv4/ip_forward", "1"), writeSysctl("net/ipv6/conf/all/forwarding", "1")); err != nil {
			return err
		}
	}
	for _, i := range q.Interfaces {
		if err := address(i); err != nil {
			return err
		}
	}
	if err := a.translate(q); err != nil {
		return err
	}
	return r.Reply(nil)
}

func installProgram(p nodeProgram) error {
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o755); err != nil {
		return fmt.Errorf("install %s: %w", p.Path, err)
	}
	if err := os.Symlink(nodeSelf, p.Path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("install %s: %w", p.Path, err)
	}
	for name, content := range p.Units {
		if err := os.WriteFile(filepath.Join("/usr/lib/systemd/system", name), content, 0o644); err != nil {
			return fmt.Errorf("install %s: %w", name, err)
		}
	}
	return nil
}
