package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Compose makes a root out of this machine's own programs, for who is neither
// root nor has a range of ids: a skeleton that belongs to the caller, the few
// files of /etc that programs need to run, and /usr borrowed from the machine.
// No account, key or rule of the machine gets in. What that weakens is said.
func Compose(ctx context.Context, o Options) (Root, error) {
	o.Enter, o.Source = nil, ""
	o.IDs = []IDMap{{Inside: 0, Outside: uint32(os.Getuid()), Count: 1}}
	m, err := newMaker(o)
	if err != nil {
		return Root{}, err
	}
	c := composition{machine: "/"}
	sum, err := c.fingerprint()
	if err != nil {
		return Root{}, fmt.Errorf("compose a root file system: %w", err)
	}
	root, err := m.cached(ctx, "composed-"+digest(sum, fmt.Sprint(preparation), owners(o.IDs)), func(made string) (manifest, error) {
		m.say("composing one of this machine's own programs")
		return c.fill(ctx, made, sum, o.IDs)
	})
	if err != nil {
		return Root{}, fmt.Errorf("compose a root file system: %w", explain(err, m.Cache))
	}
	return root, nil
}

// composition takes from the machine whose root is at machine.
type composition struct{ machine string }

// borrowable are the folders that hold programs. Where one is a link, as on a
// merged Debian, the link is copied instead.
var borrowable = []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// wanted are the files and folders of /etc that programs do not run without,
// and that say nothing of this machine. netfilter-persistent is there because
// its plugins test rules before they load them only where this file says so,
// which decides whether its unit fails; the rest of /etc/default is what was
// set for this machine's own daemons, and stays.
var wanted = []string{
	"alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "protocols", "services", "rpc",
	"gai.conf", "login.defs", "pam.conf", "pam.d", "security", "shells", "iproute2", "ethertypes", "ssl/openssl.cnf", "ssl/certs",
	"default/netfilter-persistent", "debian_version", "os-release",
}

// written are files that every Debian has and that must not be the machine's.
// All belong to root, which is the only id that there is.
var written = map[string]string{
	"etc/passwd":          "root:x:0:0:root:/root:/bin/bash\nbackup:x:34:34:backup:/var/backups:/usr/sbin/nologin\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	"etc/group":           "root:x:0:\ntty:x:5:\nbackup:x:34:\nshadow:x:42:\nnogroup:x:65534:\n",
	"etc/shadow":          "root:*:20000:0:99999:7:::\nbackup:*:20000:0:99999:7:::\n",
	"etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\n",
}

var skeleton = []string{
	"dev", "etc", "etc/iptables", "etc/ssh", "etc/ssh/sshd_config.d", "etc/ssl", "etc/systemd", "etc/systemd/system", "etc/wireguard", "home", "mnt", "opt",
	"proc", "root", "run", "srv", "sys", "tmp", "usr", "usr/bin", "var", "var/backups", "var/cache", "var/lib", "var/log", "var/tmp",
}

// fingerprint changes when what is taken from the machine changes.
func (c composition) fingerprint() (string, error) {
	var parts []string
	err := c.each(func(name string, info fs.FileInfo) error {
		parts = append(parts, fmt.Sprintf("%s %d %o %d", name, info.Size(), info.Mode(), info.ModTime().UnixNano()))
		return nil
	})
	packages := filepath.Join(c.machine, "var/lib/dpkg/status") // the tools' versions
	if info, err := os.Stat(packages); err == nil {
		parts = append(parts, info.ModTime().String())
	}
	return digest(parts...), err
}

// each visits what is copied, names relative to the machine's root. What is
// not open to everybody on the machine stays there, although this user or a
// group of theirs may read it: a secret would be such a file.
func (c composition) each(visit func(name string, info fs.FileInfo) error) error {
	for _, top := range wanted {
		err := filepath.WalkDir(filepath.Join(c.machine, "etc", top), func(full string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Mode()&fs.ModeSymlink == 0 && info.Mode()&0o004 == 0 {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			name, err := filepath.Rel(c.machine, full)
			if err != nil {
				return err
			}
			return visit(name, info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c composition) fill(ctx context.Context, made, sum string, ids []IDMap) (manifest, error) {
	borrowed := []string{}
	for _, name := range borrowable {
		if info, err := os.Lstat(filepath.Join(c.machine, name)); err == nil && info.IsDir() {
			borrowed = append(borrowed, "/"+name)
		}
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.pack(w)) }()
	err := unpack(ctx, made, r, ids)
	r.CloseWithError(err)
	packages := versions(c.machine)
	return manifest{Release: release(c.machine), SHA256: sum, Packages: packages, Borrowed: borrowed, Weaker: c.weaker()}, err
}

func (c composition) pack(w io.Writer) error {
	t := tar.NewWriter(w)
	for _, name := range skeleton {
		if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, name := range borrowable[1:] {
		if err := c.packProgramFolder(t, name); err != nil {
			return err
		}
	}
	if err := c.each(func(name string, info fs.FileInfo) error { return c.packFile(t, name, info) }); err != nil {
		return err
	}
	for name, text := range written {
		mode := int64(0o644)
		if name == "etc/shadow" {
			mode = 0o600
		}
		if err := packText(t, name, []byte(text), mode); err != nil {
			return err
		}
	}
	return t.Close()
}

func (c composition) packProgramFolder(t *tar.Writer, name string) error {
	info, err := os.Lstat(filepath.Join(c.machine, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755})
	}
	target, err := os.Readlink(filepath.Join(c.machine, name))
	if err != nil {
		return err
	}
	return t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777})
}

func (c composition) packFile(t *tar.Writer, name string, info fs.FileInfo) error {
	full := filepath.Join(c.machine, name)
	switch {
	case info.IsDir():
		return t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755})
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(full)
		if err != nil {
			return err
		}
		return t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777})
	case !info.Mode().IsRegular():
		return nil
	}
	text, err := os.ReadFile(full)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return packText(t, name, text, int64(info.Mode().Perm()))
}

func packText(t *tar.Writer, name string, text []byte, mode int64) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: mode}); err != nil {
		return err
	}
	_, err := t.Write(text)
	return err
}

// programs are what the suites cannot do without, and what brings them.
var programs = []struct{ name, brings string }{
	{"nft", "nftables"}, {"iptables-restore", "iptables"}, {"netfilter-persistent", "netfilter-persistent"},
	{"wg-quick", "wireguard-tools"}, {"sshd", "openssh-server"}, {"ip", "iproute2"},
}

func (c composition) weaker() []string {
	out := []string{
		"the nodes' programs are this machine's (" + strings.TrimSpace(release(c.machine)) + "), not those of Debian 13",
		"nodes have one user id: what changes to another user cannot run, such as sshd's privilege separation and PBS's user backup",
		"every file of a node belongs to that one user: the site's modes are kept, its owners are not",
	}
	for _, p := range programs {
		if !c.has(p.name) {
			out = append(out, fmt.Sprintf("this machine has no %s: what the nodes' %s does is not tested", p.name, p.brings))
		}
	}
	return out
}

func (c composition) has(program string) bool {
	for _, dir := range []string{"usr/sbin", "usr/bin", "sbin", "bin", "usr/local/bin", "usr/local/sbin"} {
		if _, err := os.Stat(filepath.Join(c.machine, dir, program)); err == nil {
			return true
		}
	}
	return false
}
