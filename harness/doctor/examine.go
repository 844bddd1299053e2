package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Keyring is what mmdebstrap checks Debian's signatures with; the first is
// Debian 12's name of it, the second Debian 13's.
var keyrings = []string{"/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"}

// space is what the cache takes: the root as a tarball, the same unpacked, and
// as much again while it is made.
const space = 1 << 30

// Examine asks the machine for everything that a lab needs.
func Examine(ctx context.Context, m Machine) Report {
	r := Report{CanRun: true}
	tried := m.Try(ctx, m.leaveOut())
	r.add(m.userNamespaces(tried))
	ids := m.ids(tried)
	r.add(ids)
	r.add(m.overlay(tried))
	r.add(m.proc(tried))
	r.add(m.links(tried))
	r.add(m.nft(tried))
	r.add(m.tun(tried))
	r.add(m.wireGuard(tried))
	r.add(m.netem(tried))
	if ids.State == OK {
		r.add(m.root())
		r.add(m.rootMaker())
	} else {
		r.add(m.ownPrograms())
	}
	r.add(m.goTool(ctx))
	r.add(m.disk())
	return r
}

// leaveOut names the trials that would load a module.
func (m Machine) leaveOut() []string {
	var leave []string
	for _, t := range []struct {
		name    string
		modules []string
	}{
		{leaveLinks, []string{"bridge", "veth"}},
		{leaveNft, []string{"nf_tables"}},
		{leaveTun, []string{"tun"}},
		{leaveWireGuard, []string{"wireguard"}},
		{leaveNetem, []string{"sch_netem"}},
	} {
		for _, module := range t.modules {
			if m.sleeping(module) {
				leave = append(leave, t.name)
				break
			}
		}
	}
	return leave
}

const asleep = "a module on disk, not loaded; not tried, since that would load it"

func (m Machine) userNamespaces(t Trials) Line {
	l := Line{Name: "user namespaces", State: OK, Saw: "made one, with mount, PID, net, UTS and IPC namespaces"}
	if t.Namespaces.worked() {
		return l
	}
	l.State, l.Saw, l.Weakens = Missing, t.Namespaces.Error, "no lab can run"
	switch {
	case m.read("/proc/sys/user/max_user_namespaces") == "0":
		l.Saw += " (user.max_user_namespaces is 0)"
		l.Mend = m.sudo("sysctl -w user.max_user_namespaces=10000")
	case m.read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		l.Saw += " (kernel.unprivileged_userns_clone is 0)"
		l.Mend = m.sudo("sysctl -w kernel.unprivileged_userns_clone=1")
	case m.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		l.Saw += " (kernel.apparmor_restrict_unprivileged_userns is 1)"
		l.Mend = m.sudo("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
	default:
		l.Mend = "ask whoever runs this machine: a container or a security module refuses what a lab needs"
	}
	return l
}

func (m Machine) ids(t Trials) Line {
	l := Line{Name: "sub-ids", State: OK}
	if m.UID == 0 {
		l.Saw = "root maps 65536 ids by itself"
		if !t.Ids.worked() && t.Namespaces.worked() {
			l.State, l.Saw, l.Weakens = Missing, t.Ids.Error, "nodes have no users of their own, so no lab can run"
			l.Mend = "run outside the container that limits root's ids"
		}
		return l
	}
	uids, gids := subordinate(m.read("/etc/subuid"), m.User, m.UID), subordinate(m.read("/etc/subgid"), m.User, m.UID)
	_, noUIDs := m.Look("newuidmap")
	_, noGIDs := m.Look("newgidmap")
	l.Saw = fmt.Sprintf("%s for uids, %s for gids", uids, gids)
	l.Weakens = "nodes run this machine's own programs instead of Debian 13's, and have no user but root"
	switch {
	case noUIDs != nil || noGIDs != nil:
		l.State, l.Saw, l.Mend = Weaker, "newuidmap or newgidmap is not installed", m.sudo("apt-get install uidmap")
	case uids.Count < enough || gids.Count < enough:
		l.State, l.Mend = Weaker, m.sudo(m.usermod())
	case t.Namespaces.worked() && !t.Ids.worked():
		l.State, l.Saw, l.Mend = Missing, t.Ids.Error, m.sudo("apt-get install --reinstall uidmap")
		l.Weakens = "no lab can run: the range is there and cannot be used"
	default:
		l.Weakens = ""
	}
	return l
}

// usermod is the command that gives the user a range that nobody has.
func (m Machine) usermod() string {
	first := behind(m.read("/etc/subuid"), m.read("/etc/subgid"))
	ids := fmt.Sprintf("%d-%d", first, first+enough)
	return fmt.Sprintf("usermod --add-subuids %s --add-subgids %s %s", ids, ids, m.User)
}

func (m Machine) overlay(t Trials) Line {
	return m.required("overlay", t, t.Overlay, "mounted one in a user namespace", "a node's own files have nowhere to lie")
}

func (m Machine) proc(t Trials) Line {
	return m.required("proc", t, t.Proc, "mounted in a PID namespace", "nodes have no /proc")
}

func (m Machine) links(t Trials) Line {
	return m.required("links", t, t.Links, "added a bridge and a veth pair", "a lab's networks cannot be made")
}

func (m Machine) nft(t Trials) Line {
	return m.required("nft", t, t.Nft, "nf_tables answers in a net namespace", "no node can have a packet filter")
}

// required is a line for what no lab runs without.
func (m Machine) required(name string, all Trials, t Trial, saw, weakens string) Line {
	switch {
	case t.worked():
		return Line{Name: name, State: OK, Saw: saw}
	case !all.Namespaces.worked():
		return Line{Name: name, State: Missing, Saw: "not tried: there are no user namespaces", Weakens: weakens}
	case !t.Tried:
		return Line{Name: name, State: OK, Saw: asleep}
	}
	l := Line{Name: name, State: Missing, Saw: t.Error, Weakens: weakens}
	if m.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
		// the namespace can be made there, and has no rights
		l.Saw += " (kernel.apparmor_restrict_unprivileged_userns is 1)"
		l.Mend = m.sudo("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
		return l
	}
	l.Mend = "use a kernel that has it, or leave the container that forbids it"
	return l
}

func (m Machine) tun(t Trials) Line {
	l := Line{Name: "/dev/net/tun", State: OK, Saw: "opened, and made an interface in a net namespace"}
	if t.Tun.worked() {
		return l
	}
	l.State = Missing
	l.Weakens = "no userspace WireGuard: a site with a tunnel cannot run"
	if m.kernelWireGuard(t) {
		l.State, l.Weakens = Weaker, "no userspace WireGuard; tunnels use the kernel's"
	}
	info, err := fs.Stat(m.Root, "dev/net/tun")
	switch {
	case err != nil:
		l.Saw, l.Mend = "not there", m.sudo("modprobe tun")
	case m.UID == 0 && info.Mode().Perm()&0o006 != 0o006:
		l.State, l.Weakens = OK, ""
		l.Saw = fmt.Sprintf("its mode is %04o; root's labs get a device node of their own", info.Mode().Perm())
	case info.Mode().Perm()&0o006 != 0o006:
		l.Saw = fmt.Sprintf("closed: its mode is %04o", info.Mode().Perm())
		l.Mend = m.sudo("chmod 0666 /dev/net/tun")
	case !t.Tun.Tried && t.Namespaces.worked():
		l.State, l.Saw, l.Weakens = OK, asleep, ""
	case !t.Tun.Tried:
		l.Saw = "not tried: there are no user namespaces"
	default:
		l.Saw, l.Mend = t.Tun.Error, m.sudo("modprobe tun")
	}
	return l
}

func (m Machine) kernelWireGuard(t Trials) bool {
	return t.WireGuard.worked() || (t.Namespaces.worked() && !t.WireGuard.Tried)
}

func (m Machine) wireGuard(t Trials) Line {
	l := Line{Name: "kernel WireGuard", State: OK, Saw: "added an interface"}
	switch {
	case t.WireGuard.worked():
	case m.kernelWireGuard(t):
		l.Saw = asleep
	default:
		l.State, l.Saw = Weaker, refused("this kernel has none", t.WireGuard)
		l.Weakens = "tunnels run in userspace WireGuard, which handles DF and PMTU differently from the hosts' kernels"
		l.Mend = "none needed; a kernel with CONFIG_WIREGUARD is closer to the hosts"
	}
	return l
}

func (m Machine) netem(t Trials) Line {
	l := Line{Name: "netem", State: OK, Saw: "added a delay"}
	switch {
	case t.Netem.worked():
	case t.Namespaces.worked() && !t.Netem.Tried:
		l.Saw = asleep
	default:
		l.State, l.Saw = Weaker, refused("this kernel has none", t.Netem)
		l.Weakens = "round-trip times and loss of a site cannot be made by the kernel"
		l.Mend = "none needed; a kernel with CONFIG_NET_SCH_NETEM has it"
	}
	return l
}

func (m Machine) root() Line {
	l := Line{Name: "Debian 13 root", State: OK}
	at, err := m.Cached()
	switch {
	case err != nil:
		l.State, l.Saw, l.Mend = Weaker, err.Error(), "pbsdrill sweep --yes"
		l.Weakens = "the first lab has to make it again"
	case at == "":
		l.State, l.Saw = Weaker, "not made yet"
		l.Weakens = "the first lab makes it, which takes about half a minute and the network"
		l.Mend = "pbsdrill rootfs"
	default:
		l.Saw = at
	}
	return l
}

func (m Machine) rootMaker() Line {
	l := Line{Name: "mmdebstrap", State: OK}
	var missing []string
	if at, err := m.Look("mmdebstrap"); err != nil {
		missing = append(missing, "mmdebstrap")
	} else {
		l.Saw = at
	}
	if !m.has(keyrings[0]) && !m.has(keyrings[1]) {
		missing = append(missing, "debian-archive-keyring")
	}
	if len(missing) == 0 {
		l.Saw += ", with Debian's keyring"
		return l
	}
	l.Saw = strings.Join(missing, " and ") + " not installed"
	l.State, l.Weakens = Missing, "no root file system can be made for the nodes"
	if at, err := m.Cached(); err == nil && at != "" {
		l.State, l.Weakens = Weaker, "the root that is cached can be used, and no other can be made"
	}
	l.Mend = m.sudo("apt-get install " + strings.Join(missing, " "))
	return l
}

// borrowed are the programs that a lab's nodes need of the machine where no
// root of their own can be made, and the packages that bring them.
var borrowed = []struct{ program, pkg string }{
	{"nft", "nftables"}, {"iptables-restore", "iptables"}, {"wg-quick", "wireguard-tools"}, {"ip", "iproute2"}, {"ping", "iputils-ping"}, {"sshd", "openssh-server"},
}

// ownPrograms is for a lab that runs on this machine's own programs. They are
// looked for where a node has them in its PATH.
func (m Machine) ownPrograms() Line {
	l := Line{Name: "own programs", State: OK, Saw: "nft, iptables, WireGuard's tools, sshd"}
	var missing, packages []string
	for _, b := range borrowed {
		if m.has("/usr/sbin/"+b.program) || m.has("/usr/bin/"+b.program) || m.has("/sbin/"+b.program) || m.has("/bin/"+b.program) {
			continue
		}
		missing, packages = append(missing, b.program), append(packages, b.pkg)
	}
	if len(missing) > 0 {
		l.State, l.Saw = Weaker, "not installed: "+strings.Join(missing, ", ")
		l.Weakens = "what a site does with them cannot be tested"
		// not these packages: openssh-server would listen, and iptables' friends remove Debian's ufw
		l.Mend = "better than installing " + strings.Join(packages, ", ") + " here: a range of sub-ids, see above"
	}
	return l
}

// oldest is the version in go.mod.
const oldest = "1.26"

func (m Machine) goTool(ctx context.Context) Line {
	l := Line{Name: "Go", State: OK, Weakens: "drills build the suites, so only `pbsdrill lab` works"}
	version, err := m.GoFound(ctx)
	switch {
	case err != nil:
		l.State, l.Saw = Weaker, "not found: "+err.Error()
	case !atLeast(version, oldest):
		l.State, l.Saw = Weaker, version+" is older than "+oldest
	default:
		return Line{Name: "Go", State: OK, Saw: version}
	}
	l.Mend = "make drill, which fetches the pinned toolchain into the cache"
	return l
}

// atLeast compares "go1.26.8" with "1.26" by their first two numbers.
func atLeast(version, than string) bool {
	have, want := numbers(strings.TrimPrefix(version, "go")), numbers(than)
	if have[0] != want[0] {
		return have[0] > want[0]
	}
	return have[1] >= want[1]
}

func numbers(version string) (n [2]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		if i == len(n) {
			break
		}
		// "1.27rc1" counts as 1.27: it can build what 1.26 can
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if digits >= 0 {
			part = part[:digits]
		}
		n[i], _ = strconv.Atoi(part)
	}
	return n
}

func (m Machine) disk() Line {
	l := Line{Name: "disk", State: OK, Saw: fmt.Sprintf("%.1f GiB free for %s", float64(m.Free)/(1<<30), m.Cache)}
	if m.Free >= space {
		return l
	}
	l.State, l.Weakens = Weaker, "making a root file system takes 1 GiB"
	l.Mend = "pbsdrill sweep --yes, or set XDG_CACHE_HOME to a folder with more space"
	return l
}

func (m Machine) sudo(command string) string {
	if m.UID == 0 {
		return command
	}
	return "sudo " + command
}

func refused(what string, t Trial) string {
	if !t.Tried {
		return "not tried: there are no user namespaces"
	}
	return what + " (" + t.Error + ")"
}
