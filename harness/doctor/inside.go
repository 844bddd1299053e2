package doctor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// inside runs in the namespaces. Its first call waits until the ids are mapped
// and runs itself again: capabilities come with an exec as a mapped id.
func inside(args []string) int {
	if len(args) > 0 && args[0] == "mapped?" {
		if _, err := bufio.NewReader(os.Stdin).ReadByte(); err != nil {
			fmt.Fprintln(os.Stderr, "wait for the ids:", err)
			return 1
		}
		err := syscall.Exec("/proc/self/exe", append([]string{called}, args[1:]...), nil)
		fmt.Fprintln(os.Stderr, "run again as a mapped id:", err)
		return 1
	}
	leave := func(name string) bool { return slices.Contains(args, name) }
	attempt := func(name string, f func() error) Trial {
		if leave(name) {
			return Trial{}
		}
		return Trial{Tried: true, Error: reason(f())}
	}
	t := Trials{Namespaces: attempt("", private)}
	t.Overlay = attempt("", overlay)
	t.Proc = attempt("", proc)
	t.Links = attempt(leaveLinks, links)
	t.Nft = attempt(leaveNft, nft)
	t.Tun = attempt(leaveTun, tun)
	t.WireGuard = attempt(leaveWireGuard, wireGuard)
	t.Netem = attempt(leaveNetem, netem)
	if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
		return 1
	}
	return 0
}

// private cuts our mounts off from the machine's, and gives us a place to write
// that nobody else sees.
func private() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return nil
}

func overlay() error {
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir("/tmp/"+dir, 0o755); err != nil {
			return err
		}
	}
	return unix.Mount("overlay", "/tmp/merged", "overlay", 0, "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr")
}

func proc() error {
	if err := os.Mkdir("/tmp/proc", 0o755); err != nil {
		return err
	}
	return unix.Mount("proc", "/tmp/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

func links() error {
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}); err != nil {
		return fmt.Errorf("add a bridge: %w", err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "two"}); err != nil {
		return fmt.Errorf("add a veth pair: %w", err)
	}
	return nil
}

// nft asks for the tables, which a kernel without nf_tables cannot answer.
func nft() error {
	ask := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP)
	ask.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	_, err := ask.Execute(unix.NETLINK_NETFILTER, 0)
	return err
}

func tun() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the interface goes with it, or with the namespace
	ask, err := unix.NewIfreq("wg0")
	if err != nil {
		return err
	}
	ask.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, ask)
}

func wireGuard() error {
	return netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: "wg1"}})
}

func netem() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	q := netlink.NewNetem(netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		netlink.NetemQdiscAttrs{Latency: 1000})
	return netlink.QdiscAdd(q)
}
