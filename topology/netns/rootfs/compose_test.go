package rootfs

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestAComposedRootHasNothingOfThisMachineButItsPrograms(t *testing.T) {
	g := NewWithT(t)
	cache := t.TempDir()
	t.Cleanup(func() { open(cache) })
	root, err := Compose(context.Background(), Options{Cache: cache})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(root.Borrowed).To(ContainElement("/usr"))
	g.Expect(root.Weaker).To(ContainElement(ContainSubstring("not those of Debian 13")))
	g.Expect(os.ReadDir(filepath.Join(root.Dir, "usr/bin"))).To(BeEmpty())
	passwd, err := os.ReadFile(filepath.Join(root.Dir, "etc/passwd"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(passwd)).To(Equal(written["etc/passwd"]))
	for _, name := range []string{"etc/machine-id", "etc/resolv.conf", "etc/hosts"} {
		info, err := os.Stat(filepath.Join(root.Dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Size()).To(BeZero(), name)
	}
	again, err := Compose(context.Background(), Options{Cache: cache})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(Equal(root))
	_, err = os.Stat(filepath.Join(root.Dir, "etc/nsswitch.conf"))
	if _, here := os.Stat("/etc/nsswitch.conf"); here == nil {
		g.Expect(err).NotTo(HaveOccurred())
	}
}

func TestWhatIsNotOpenToEverybodyStaysOnTheMachine(t *testing.T) {
	g := NewWithT(t)
	machine := t.TempDir()
	g.Expect(os.MkdirAll(filepath.Join(machine, "etc/security/private"), 0o755)).To(Succeed())
	for name, mode := range map[string]os.FileMode{"limits.conf": 0o644, "opasswd": 0o640, "private/key": 0o644} {
		full := filepath.Join(machine, "etc/security", name)
		g.Expect(os.WriteFile(full, []byte("x"), mode)).To(Succeed())
		g.Expect(os.Chmod(full, mode)).To(Succeed())
	}
	g.Expect(os.Chmod(filepath.Join(machine, "etc/security/private"), 0o750)).To(Succeed())
	var copied []string
	g.Expect(composition{machine: machine}.each(func(name string, _ fs.FileInfo) error {
		copied = append(copied, name)
		return nil
	})).To(Succeed())
	g.Expect(copied).To(Equal([]string{"etc/security", "etc/security/limits.conf"}))
}

func TestWhatAMachineLacksIsSaid(t *testing.T) {
	g := NewWithT(t)
	machine := t.TempDir()
	g.Expect(os.MkdirAll(filepath.Join(machine, "usr/sbin"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(machine, "usr/sbin/nft"), nil, 0o755)).To(Succeed())
	said := composition{machine: machine}.weaker()
	g.Expect(said).To(ContainElement(ContainSubstring("this machine has no sshd")))
	g.Expect(said).NotTo(ContainElement(ContainSubstring("has no nft:")))
}

// A filled cache needs neither mmdebstrap nor a network.
func TestAFilledCacheIsEnough(t *testing.T) {
	g := NewWithT(t)
	cache := t.TempDir()
	t.Cleanup(func() { open(cache) })
	t.Setenv("PATH", "")
	built := filepath.Join(cache, "debian-"+suite+"-"+recipe()+".tar")
	text, err := os.ReadFile(tarball(t, house))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(built, text, 0o644)).To(Succeed())
	sum, err := fingerprint(context.Background(), built)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(built+".sha256", []byte(sum+"\n"), 0o644)).To(Succeed())
	root, err := Ensure(context.Background(), Options{Cache: cache, IDs: mine()})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(root.SHA256).To(Equal(sum))

	// One that was damaged is built again, which cannot be done here.
	g.Expect(os.RemoveAll(filepath.Dir(root.Dir))).To(Or(Succeed(), HaveOccurred()))
	open(cache)
	g.Expect(os.RemoveAll(filepath.Dir(root.Dir))).To(Succeed())
	text[len(text)/2] ^= 1
	g.Expect(os.WriteFile(built, text, 0o644)).To(Succeed())
	_, err = Ensure(context.Background(), Options{Cache: cache, IDs: mine()})
	g.Expect(err).To(MatchError(ContainSubstring("mmdebstrap is missing")))
	g.Expect(filepath.Glob(filepath.Join(cache, partial+"*"))).To(BeEmpty())
}
