package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// nobodyID is a user that no machine gives a name or a range of ids.
const nobodyID = 4242

const tenantName = "conformance-tenant"

// This binary under another name brings a lab up as a user without a range and
// tells what it saw.
func init() {
	netns.Register(topology.Program{Name: tenantName, Path: "/usr/local/bin/" + tenantName, Main: tenant})
}

// tenancy is what such a user sees of a lab.
type tenancy struct {
	Error  string
	Facts  topology.Facts
	Pinged string
	Units  []topology.UnitState
	Lines  map[string]string // shell line → what it printed on node a
}

func tenant() int {
	var t tenancy
	if err := t.visit(os.Args[1], os.Args[2:]); err != nil {
		t.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
		return 1
	}
	return 0
}

func (t *tenancy) visit(dir string, lines []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	site, err := topology.Load(dir)
	if err != nil {
		return err
	}
	lab, err := netns.Up(ctx, site, netns.Options{Mark: "composed"})
	if err != nil {
		return err
	}
	defer func() { _ = lab.Down(ctx) }()
	t.Facts, t.Lines = lab.Facts(), map[string]string{}
	a, err := lab.Node("a")
	if err != nil {
		return err
	}
	if t.Units, err = a.(topology.Booted).Units(ctx); err != nil {
		return err
	}
	if t.Pinged, err = ping(ctx, a, "10.0.0.2"); err != nil {
		return err
	}
	for _, line := range lines {
		r, err := a.Run(ctx, topology.Command{Argv: []string{"sh", "-c", line}})
		if err != nil {
			return err
		}
		t.Lines[line] = string(r.Stdout) + string(r.Stderr)
	}
	return nil
}

// ping sends an echo request from the node, whose machine may have no ping, and
// returns the address that answers.
func ping(ctx context.Context, n topology.Node, to string) (string, error) {
	f, err := n.(topology.Sockets).Socket(ctx, syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	request, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 1, Seq: 1}}).Marshal(nil)
	if err != nil {
		return "", err
	}
	if _, err := c.WriteTo(request, &net.IPAddr{IP: net.ParseIP(to)}); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	answer := make([]byte, 1500)
	for {
		length, from, err := c.ReadFrom(answer)
		if err != nil {
			return "", err
		}
		m, err := icmp.ParseMessage(1, answer[:length])
		if err == nil && m.Type == ipv4.ICMPTypeEchoReply {
			return from.String(), nil
		}
	}
}

// asNobody has the tenant look at a site of two nodes with these files.
func asNobody(t *testing.T, start func(*exec.Cmd) error, files map[string]string, lines ...string) tenancy {
	t.Helper()
	g := NewWithT(t)
	home, err := os.MkdirTemp("", "pbsdrill-tenant-") // unlike t.TempDir, below no folder that is root's only
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	files["../site.yaml"] = "site: tenant\nnetworks:\n  lan: {ipv4: 10.0.0.0/24}\nnodes:\n" +
		"  a: {role: server, on: {lan: 10.0.0.1}}\n  b: {role: server, on: {lan: 10.0.0.2}}\npromises:\n  reach:\n    - a -> b: [ping]\n"
	site := filepath.Join(home, "site")
	for name, content := range files {
		to := filepath.Join(site, "nodes", name)
		g.Expect(os.MkdirAll(filepath.Dir(to), 0o755)).To(Succeed())
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			g.Expect(os.Symlink(target, to)).To(Succeed())
			continue
		}
		g.Expect(os.WriteFile(to, []byte(content), 0o644)).To(Succeed())
	}
	g.Expect(os.Chown(home, nobodyID, nobodyID)).To(Succeed())
	g.Expect(filepath.WalkDir(site, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, nobodyID, nobodyID)
	})).To(Succeed())
	out := new(bytes.Buffer)
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{tenantName, site}, lines...)
	c.Dir = "/"
	c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	c.Stdout, c.Stderr = out, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}}
	g.Expect(start(c)).To(Succeed())
	g.Expect(c.Wait()).To(Succeed())
	var seen tenancy
	g.Expect(json.Unmarshal(out.Bytes(), &seen)).To(Succeed())
	return seen
}

// withMountBelowUsr starts a command that sees something mounted on a folder
// below /usr, as nobody else does: the thread that mounts it has mounts of its
// own, so it stays locked and ends with its goroutine.
func withMountBelowUsr(c *exec.Cmd) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("conformance", "/usr/games", "tmpfs", 0, "size=64k"); err != nil {
				return err
			}
			return c.Start()
		}()
	}()
	return <-done
}

// rootUnderGinkgo skips where no other user can be taken on. Of Ginkgo's
// parallel processes one is enough.
func rootUnderGinkgo(t *testing.T) {
	t.Helper()
	if !underGinkgo() {
		t.Skip("drivers are tested through ginkgo: make e2e")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can be a user without a range of ids")
	}
	config, _ := ginkgo.GinkgoConfiguration()
	if config.ParallelProcess > 1 || config.DryRun {
		t.Skip("another process does it, or nobody")
	}
}

func TestAUserWithoutARangeHasALabOfThisMachinesPrograms(t *testing.T) {
	rootUnderGinkgo(t)
	g := NewWithT(t)
	const (
		owners   = "stat -c '%a %U:%G' /etc/proxmox-backup/x.cfg /etc/motd"
		programs = "tool; cat /usr/share/doc/mine; readlink /usr/bin/wireguard-go"
		write    = "touch /etc/written /usr/local/bin/written && ls /usr/local/bin/written"
		people   = "cat /etc/passwd; ls -A /home /root"
		enabled  = "find /etc/systemd/system -type l"
		sums     = "find /etc -type f -exec sha256sum {} +"
	)
	seen := asNobody(t, (*exec.Cmd).Start, map[string]string{
		"a/etc/proxmox-backup/x.cfg":   "x",
		"a/etc/motd":                   "motd of a",
		"a/usr/local/bin/tool":         "#!/bin/sh\necho laid over\n",
		"a/usr/share/doc/mine":         "mine\n",
		"a/usr/share/new/folder/below": "x",
	}, owners, programs, write, people, enabled, sums)
	g.Expect(seen.Error).To(BeEmpty())
	g.Expect(seen.Pinged).To(Equal("10.0.0.2"))
	g.Expect(seen.Facts.RootFS).To(HavePrefix("composed of this machine's /usr"))
	g.Expect(seen.Facts.Weaker).To(ContainElements(
		ContainSubstring("not those of Debian 13"), ContainSubstring("one user id"), ContainSubstring("its owners are not"), ContainSubstring("usermod --add-subuids")))
	g.Expect(seen.Lines[owners]).To(Equal("640 root:root\n644 root:root\n"))
	g.Expect(seen.Lines[programs]).To(Equal("laid over\nmine\n/run/pbsdrill/program\n"))
	g.Expect(seen.Lines[write]).To(Equal("/usr/local/bin/written\n"))
	g.Expect("/usr/local/bin/written").NotTo(BeAnExistingFile())
	g.Expect(seen.Lines[enabled]).To(BeEmpty())
	for _, name := range persons(g) {
		g.Expect(seen.Lines[people]).NotTo(ContainSubstring("\n" + name + ":"))
	}
	shown := map[string]string{}
	for line := range strings.Lines(seen.Lines[sums]) {
		hash, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		shown[hash] = name
	}
	sum := sha256.Sum256([]byte("motd of a"))
	g.Expect(shown).To(HaveKeyWithValue(hex.EncodeToString(sum[:]), "/etc/motd"), "the comparison finds what is there")
	hidden := notForEverybody(g, "/etc")
	g.Expect(hidden).NotTo(BeEmpty())
	for hash, name := range hidden {
		g.Expect(shown).NotTo(HaveKey(hash), "%s of this machine shows in a node as %s", name, shown[hash])
	}
}

func TestAUserWithoutARangeIsToldWhatIsMissing(t *testing.T) {
	rootUnderGinkgo(t)
	if _, err := os.Stat("/usr/lib/systemd/system/nftables.service"); err == nil {
		t.Skip("this machine has nftables")
	}
	g := NewWithT(t)
	seen := asNobody(t, (*exec.Cmd).Start, map[string]string{"a" + wantsNftables: nftables, "a/etc/nftables.conf": "flush ruleset\n"})
	g.Expect(seen.Error).To(And(
		ContainSubstring("nftables.service is enabled and has no unit file"), ContainSubstring("no programs here but this machine's own"), ContainSubstring("usermod --add-subuids")))
}

func TestWhereNothingCanBeLaidOverUsrTheSiteIsTold(t *testing.T) {
	rootUnderGinkgo(t)
	if _, err := os.Stat("/usr/games"); err != nil {
		t.Skip("this machine has no /usr/games to mount on")
	}
	g := NewWithT(t)
	const write = "touch /usr/bin/written; ls /usr/bin/wireguard-go"
	seen := asNobody(t, withMountBelowUsr, map[string]string{"a/etc/motd": "x"}, write)
	g.Expect(seen.Error).To(BeEmpty())
	g.Expect(seen.Pinged).To(Equal("10.0.0.2"))
	g.Expect(seen.Facts.Weaker).To(ContainElement(And(ContainSubstring("mounted below this machine's /usr"), ContainSubstring("wireguard-go"))))
	g.Expect(seen.Lines[write]).To(And(ContainSubstring("Read-only file system"), ContainSubstring("No such file")))

	seen = asNobody(t, withMountBelowUsr, map[string]string{"a/usr/local/bin/tool": "x"})
	g.Expect(seen.Error).To(And(ContainSubstring("nodes/a/usr/local/bin/tool: cannot lie in"), ContainSubstring("usermod --add-subuids")))
}

func TestAUnitThatChangesItsUserIsNamed(t *testing.T) {
	rootUnderGinkgo(t)
	g := NewWithT(t)
	const journal = "cat /run/ran"
	seen := asNobody(t, (*exec.Cmd).Start, map[string]string{
		"a/etc/systemd/system/other.service":                         "[Service]\nType=oneshot\nUser=backup\nExecStart=/bin/sh -c 'id > /run/ran'\n",
		"a/etc/systemd/system/own.service":                           "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'id -u > /run/ran'\n",
		"a/etc/systemd/system/multi-user.target.wants/other.service": "-> ../other.service",
		"a/etc/systemd/system/multi-user.target.wants/own.service":   "-> ../own.service",
	}, journal)
	g.Expect(seen.Error).To(BeEmpty())
	g.Expect(seen.Lines[journal]).To(Equal("0\n"))
	g.Expect(seen.Units).To(ConsistOf(
		And(HaveField("Name", "other.service"), HaveField("State", "failed"), HaveField("Result", ContainSubstring("User=backup"))),
		And(HaveField("Name", "own.service"), HaveField("State", "inactive"), HaveField("Result", "success")),
		HaveField("Name", "systemd-sysctl.service"),
	))
}

// persons are the names of this machine's people, whom no node should know.
func persons(g *WithT) []string {
	f, err := os.Open("/etc/passwd")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = f.Close() }()
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var uid int
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > 2 {
			_, _ = fmt.Sscan(fields[2], &uid)
		}
		if uid >= 1000 && uid < 65534 {
			names = append(names, fields[0])
		}
	}
	return names
}

// notForEverybody are the hashes of the files below dir that only some of this
// machine's users may read, and their names.
func notForEverybody(g *WithT, dir string) map[string]string {
	found := map[string]string{}
	g.Expect(filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&0o004 != 0 || info.Size() == 0 {
			return err
		}
		content, err := os.ReadFile(name)
		sum := sha256.Sum256(content)
		found[hex.EncodeToString(sum[:])] = name
		return err
	})).To(Succeed())
	return found
}
