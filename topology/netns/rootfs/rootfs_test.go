package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// mine maps a node's root to whoever runs the tests, which needs no privileges.
func mine() []IDMap {
	return []IDMap{{Inside: 0, Outside: uint32(os.Getuid()), Count: 1}}
}

type entry struct {
	name, link, content string
	kind                byte
	mode                int64
	uid                 int
}

// house is a small root with one of everything that matters.
var house = []entry{
	{name: "./", kind: tar.TypeDir, mode: 0o755},
	{name: "./bin", kind: tar.TypeSymlink, link: "usr/bin"},
	{name: "./usr/bin/", kind: tar.TypeDir, mode: 0o555},
	{name: "./usr/bin/su", kind: tar.TypeReg, mode: 0o4755, content: "su"},
	{name: "./usr/bin/sudo", kind: tar.TypeLink, link: "./usr/bin/su"},
	{name: "./dev/null", kind: tar.TypeChar, mode: 0o666},
	{name: "./dev/console", kind: tar.TypeReg, mode: 0o666, content: "x"},
	{name: "./etc/ssh/ssh_host_rsa_key", kind: tar.TypeReg, mode: 0o600, content: "secret"},
	{name: "./etc/ssh/sshd_config", kind: tar.TypeReg, mode: 0o644, content: "Port 22\n"},
	{name: "./etc/iptables/rules.v4", kind: tar.TypeReg, mode: 0o644, content: "*filter\n"},
	{name: "./etc/machine-id", kind: tar.TypeReg, mode: 0o444, content: "0123\n"},
	{name: "./etc/resolv.conf", kind: tar.TypeSymlink, link: "/run/resolv.conf"},
	{name: "./etc/debian_version", kind: tar.TypeReg, mode: 0o644, content: "13.5\n"},
	{name: "./usr/lib/os-release", kind: tar.TypeReg, mode: 0o644, content: "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n"},
	{name: "./etc/systemd/system/multi-user.target.wants/ssh.service", kind: tar.TypeSymlink, link: "/usr/lib/systemd/system/ssh.service"},
	{name: "./etc/systemd/system/sshd.service", kind: tar.TypeSymlink, link: "/usr/lib/systemd/system/ssh.service"},
	{name: "./var/lib/dpkg/status", kind: tar.TypeReg, mode: 0o644, content: "Package: nftables\nStatus: install ok installed\nVersion: 1.1.3-1\n\nPackage: bash\nVersion: 5\n"},
	{name: "./var/lib/apt/lists/a", kind: tar.TypeReg, mode: 0o644, content: "x"},
}

func tarball(t *testing.T, entries []entry) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Uid: e.uid, Size: int64(len(e.content)), ModTime: time.Unix(1e9, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "root.tar")
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func ensure(t *testing.T, source, cache string) Root {
	t.Helper()
	root, err := Ensure(context.Background(), Options{Cache: cache, Source: source, IDs: mine()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open(cache) })
	return root
}

// open makes read-only folders removable for the test's own clean-up.
func open(dir string) {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(name, 0o755)
		}
		return nil
	})
}

func TestATarballBecomesARootWithoutTracesOfOneMachine(t *testing.T) {
	g := NewWithT(t)
	root := ensure(t, tarball(t, house), t.TempDir())

	g.Expect(root.Release).To(Equal("Debian GNU/Linux 13 (trixie), 13.5"))
	g.Expect(root.Packages).To(Equal(map[string]string{"nftables": "1.1.3-1"}))
	g.Expect(root.SHA256).To(HaveLen(64))
	for _, gone := range []string{"dev/null", "dev/console", "etc/ssh/ssh_host_rsa_key", "etc/iptables/rules.v4",
		"etc/systemd/system/multi-user.target.wants", "var/lib/apt/lists/a"} {
		_, err := os.Lstat(filepath.Join(root.Dir, gone))
		g.Expect(err).To(MatchError(fs.ErrNotExist), gone)
	}
	for _, kept := range []string{"etc/systemd/system/sshd.service", "etc/ssh/sshd_config", "usr/bin/sudo", "proc", "run"} {
		_, err := os.Lstat(filepath.Join(root.Dir, kept))
		g.Expect(err).NotTo(HaveOccurred(), kept)
	}
	for _, name := range emptied {
		info, err := os.Lstat(filepath.Join(root.Dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().IsRegular()).To(BeTrue(), name)
		g.Expect(info.Size()).To(BeZero(), name)
	}
	su, err := os.Stat(filepath.Join(root.Dir, "usr/bin/su"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(su.Mode()).To(Equal(0o755 | fs.ModeSetuid))
	g.Expect(su.ModTime().Unix()).To(BeEquivalentTo(1e9))
}

func TestAFolderIsTakenLikeATarball(t *testing.T) {
	g := NewWithT(t)
	first := ensure(t, tarball(t, house), t.TempDir())
	second := ensure(t, first.Dir, t.TempDir())
	g.Expect(second.Release).To(Equal(first.Release))
	su, err := os.Stat(filepath.Join(second.Dir, "usr/bin/su"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(su.Mode()).To(Equal(0o755 | fs.ModeSetuid))
}

func TestPackedTarballs(t *testing.T) {
	g := NewWithT(t)
	plain, err := os.ReadFile(tarball(t, house))
	g.Expect(err).NotTo(HaveOccurred())
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(plain)
	g.Expect(errors.Join(err, z.Close())).To(Succeed())
	name := filepath.Join(t.TempDir(), "root.tar.gz")
	g.Expect(os.WriteFile(name, b.Bytes(), 0o644)).To(Succeed())
	g.Expect(ensure(t, name, t.TempDir()).Release).To(ContainSubstring("trixie"))

	g.Expect(os.WriteFile(name, []byte("\xfd7zXZ\x00rest"), 0o644)).To(Succeed())
	_, err = Ensure(context.Background(), Options{Cache: t.TempDir(), Source: name, IDs: mine()})
	g.Expect(err).To(MatchError(ContainSubstring("xz -d")))
}

func TestADamagedRootIsMadeAgain(t *testing.T) {
	harm := map[string]func(dir string) error{
		"a short file":       func(dir string) error { return os.Truncate(dir+"/root/etc/ssh/sshd_config", 1) },
		"a lost file":        func(dir string) error { return os.Remove(dir + "/root/etc/debian_version") },
		"a cut off listing":  func(dir string) error { return os.Truncate(dir+"/files", 20) },
		"no listing":         func(dir string) error { return os.Remove(dir + "/files") },
		"a broken manifest":  func(dir string) error { return os.WriteFile(dir+"/manifest.json", []byte("{"), 0o644) },
		"a missing manifest": func(dir string) error { return os.Remove(dir + "/manifest.json") },
	}
	for name, harm := range harm {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			source, cache := tarball(t, house), t.TempDir()
			root := ensure(t, source, cache)
			dir := filepath.Dir(root.Dir)
			g.Expect(harm(dir)).To(Succeed())
			_, err := check(dir)
			g.Expect(err).To(HaveOccurred())
			again := ensure(t, source, cache)
			g.Expect(again).To(Equal(root))
			// A user's read-only folders are removed inside the user namespace,
			// which this test has none of.
			if os.Geteuid() == 0 {
				g.Expect(filepath.Glob(filepath.Join(cache, partial+"*"))).To(BeEmpty())
			}
		})
	}
}

func TestNothingHalfDoneStays(t *testing.T) {
	g := NewWithT(t)
	whole, err := os.ReadFile(tarball(t, house))
	g.Expect(err).NotTo(HaveOccurred())
	name := filepath.Join(t.TempDir(), "cut.tar")
	g.Expect(os.WriteFile(name, whole[:len(whole)/2+100], 0o644)).To(Succeed())
	cache := t.TempDir()
	g.Expect(os.Mkdir(filepath.Join(cache, partial+"left"), 0o755)).To(Succeed())
	_, err = Ensure(context.Background(), Options{Cache: cache, Source: name, IDs: mine()})
	g.Expect(err).To(MatchError(ContainSubstring(name)))
	g.Expect(filepath.Glob(filepath.Join(cache, partial+"*"))).To(BeEmpty())
	g.Expect(filepath.Glob(filepath.Join(cache, "rootfs-*"))).To(BeEmpty())
}

func TestTarballsThatReachOutAreRefused(t *testing.T) {
	for name, entries := range map[string][]entry{
		"through a link": {
			{name: "./usr/bin/", kind: tar.TypeDir, mode: 0o755},
			{name: "./out", kind: tar.TypeSymlink, link: "/tmp"},
			{name: "./out/planted", kind: tar.TypeReg, mode: 0o644, content: "x"},
		},
		"an unknown owner": {
			{name: "./usr/bin/x", kind: tar.TypeReg, mode: 0o755, uid: 70000, content: "x"},
		},
		"no root at all": {
			{name: "./readme", kind: tar.TypeReg, mode: 0o644, content: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ids := mine()
			ids[0].Count = 65536 // with one id there is no unknown owner
			_, err := Ensure(context.Background(), Options{Cache: t.TempDir(), Source: tarball(t, entries), IDs: ids})
			g.Expect(err).To(HaveOccurred())
			g.Expect("/tmp/planted").NotTo(BeAnExistingFile())
		})
	}
}

func TestWithOneIDEveryFileBelongsToTheCaller(t *testing.T) {
	g := NewWithT(t)
	root := ensure(t, tarball(t, []entry{
		{name: "./usr/bin/x", kind: tar.TypeReg, mode: 0o755, uid: 34, content: "x"},
	}), t.TempDir())
	info, err := os.Stat(filepath.Join(root.Dir, "usr/bin/x"))
	g.Expect(err).NotTo(HaveOccurred())
	uid, _ := owner(info)
	g.Expect(uid).To(Equal(os.Getuid()))
}

func TestDotDotStaysInside(t *testing.T) {
	g := NewWithT(t)
	entries := append([]entry{{name: "../../etc/passwd", kind: tar.TypeReg, mode: 0o644, content: "inside"}}, house...)
	root := ensure(t, tarball(t, entries), t.TempDir())
	text, err := os.ReadFile(filepath.Join(root.Dir, "etc/passwd"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(Equal("inside"))
}

func TestTwoAtOnceMakeItOnce(t *testing.T) {
	g := NewWithT(t)
	source, cache := tarball(t, house), t.TempDir()
	t.Cleanup(func() { open(cache) })
	var mu sync.Mutex
	var unpacked int
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := Ensure(context.Background(), Options{Cache: cache, Source: source, IDs: mine(), Progress: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(line, "unpacking") {
					unpacked++
				}
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	g.Expect(unpacked).To(Equal(1))
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	g := NewWithT(t)
	name := filepath.Join(t.TempDir(), "lock")
	release, err := lock(context.Background(), name, func() {})
	g.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	_, err = lock(ctx, name, cancel)
	g.Expect(err).To(MatchError(context.Canceled))
	release()
	release, err = lock(context.Background(), name, func() {})
	g.Expect(err).NotTo(HaveOccurred())
	release()
}

func TestIDsAreMappedBothWays(t *testing.T) {
	g := NewWithT(t)
	ids := []IDMap{{0, 1000, 1}, {1, 100000, 65535}}
	g.Expect(outside(ids, 0)).To(Equal(1000))
	g.Expect(outside(ids, 34)).To(Equal(100033))
	_, err := outside(ids, 65536)
	g.Expect(err).To(HaveOccurred())
	g.Expect(inside(ids, 1000)).To(Equal(0))
	g.Expect(inside(ids, 100033)).To(Equal(34))
	g.Expect(inside(ids, 7)).To(Equal(0))
	g.Expect(inside(nil, overflowID)).To(Equal(0))
	g.Expect(inside(nil, 34)).To(Equal(34))
}

func FuzzDropped(f *testing.F) {
	for _, name := range []string{"dev", "dev/null", "etc/systemd/system/a.wants/b", "etc/ssh/ssh_host_x", "usr/bin/nft"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if dropped(name) && (strings.HasPrefix(name, "usr/bin/") || strings.HasPrefix(name, "usr/lib/")) {
			t.Fatalf("%q would be missing", name)
		}
	})
}
