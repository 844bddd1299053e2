package conformance_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a node's files", func() {
	It("are the site's, byte for byte, with the modes and owners that the hosts have", func(ctx SpecContext) {
		lab := raise(ctx, house(map[string]string{
			"a/etc/motd":                     "Grüße\x00\xff no newline",
			"a/etc/wireguard/key":            "@{wg.a.private}",
			"a/etc/proxmox-backup/extra.cfg": "x",
			"a/usr/local/bin/tool":           "#!/bin/sh\necho tool\n",
			"a/etc/link":                     "-> /etc/motd",
		}))
		a := on(lab, "a")
		f, err := a.Get(ctx, "/etc/motd")
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = f.Close() }()
		Expect(io.ReadAll(f)).To(BeEquivalentTo("Grüße\x00\xff no newline"))
		stat := func(path string) string {
			return strings.TrimSpace(string(sh(ctx, a, "stat -c '%a %U:%G' "+path).Stdout))
		}
		Expect(stat("/etc/wireguard")).To(Equal("700 root:root"))
		Expect(stat("/etc/wireguard/key")).To(Equal("600 root:root"))
		Expect(stat("/etc/proxmox-backup")).To(Equal("700 backup:backup"))
		Expect(stat("/etc/proxmox-backup/extra.cfg")).To(Equal("640 root:backup"))
		Expect(string(sh(ctx, a, "tool; readlink /etc/link").Stdout)).To(Equal("tool\n/etc/motd\n"))
		Expect(string(sh(ctx, a, "wg pubkey < /etc/wireguard/key").Stdout)).To(HaveLen(45))
		Expect(sh(ctx, on(lab, "b"), "test -e /etc/wireguard/key").Exit).NotTo(BeZero())
	}, SpecTimeout(time.Minute))

	It("are read and written one by one, and a missing one is told", func(ctx SpecContext) {
		a := on(raise(ctx, house(nil)), "a")
		_, err := a.Get(ctx, "/etc/missing")
		Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue(), "%v", err)
		large := strings.Repeat("0123456789abcdef", 1<<16)
		Expect(a.Put(ctx, "/var/new/folder/file", strings.NewReader(large), 0o640)).To(Succeed())
		Expect(string(sh(ctx, a, "stat -c '%a %s' /var/new/folder/file; ls /var/new/folder").Stdout)).To(Equal("640 1048576\nfile\n"))
		Expect(a.Put(ctx, "/etc/hostname/impossible", strings.NewReader(""), 0o600)).NotTo(Succeed())
	}, SpecTimeout(time.Minute))

	It("show nothing of the machine's own", func(ctx SpecContext) {
		a := on(raise(ctx, house(nil)), "a")
		Expect(string(sh(ctx, a, "ls /home /mnt /nodes /rootfs 2>&1 | grep -v 'No such' | grep -v ':$' | tr -d '\\n'").Stdout)).To(BeEmpty())
		Expect(string(sh(ctx, a, "cat /etc/hostname; cat /proc/1/comm; . /etc/os-release; echo $VERSION_ID").Stdout)).
			To(MatchRegexp(`^a\npbsdrill\n13\n$`))
	}, SpecTimeout(time.Minute))
})
