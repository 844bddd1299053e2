package unit

import (
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// loaded loads a root that must be right.
func loaded(t *testing.T, files map[string]string) *Set {
	t.Helper()
	set, err := Load(os.DirFS(house(t, files)), "vps")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func refused(t *testing.T, files map[string]string) string {
	t.Helper()
	_, err := Load(os.DirFS(house(t, files)), "vps")
	if err == nil {
		t.Fatal("nothing was wrong")
	}
	return err.Error()
}

func names(s *Set) []string {
	var out []string
	for _, u := range s.Units {
		if u.Service != nil || u.Skipped != "" {
			out = append(out, u.Name)
		}
	}
	return out
}

const oneshot = "[Service]\nType=oneshot\nExecStart=/bin/true\n"

func TestOnlyTheSitesOwnLinksEnable(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{"a.service": oneshot})
	files["/usr/lib/systemd/system/b.service"] = oneshot
	files["/usr/lib/systemd/system/multi-user.target.wants/b.service"] = "-> ../b.service"
	g.Expect(names(loaded(t, files))).To(Equal([]string{"a.service"}))
}

func TestATemplateIsInstantiatedByItsLink(t *testing.T) {
	g := NewWithT(t)
	set := loaded(t, map[string]string{
		"/usr/lib/systemd/system/tunnel@.service":                         "[Unit]\nAfter=network-online.target\nWants=network-online.target\n[Service]\nType=oneshot\nExecStart=/usr/bin/up %i %I %n %N %p %H %%\n",
		"/etc/systemd/system/multi-user.target.wants/tunnel@wg0.service":  "-> /usr/lib/systemd/system/tunnel@.service",
		"/etc/systemd/system/tunnel@.service.d/more.conf":                 "[Service]\nEnvironment=A=%i\n",
		"/etc/systemd/system/multi-user.target.wants/tunnel@a-b.service":  "-> /usr/lib/systemd/system/tunnel@.service",
		"/etc/systemd/system/tunnel@a-b.service.d/other.conf":             "[Service]\nExecStart=\nExecStart=/usr/bin/other %I\n",
		"/etc/systemd/system/service.d/all.conf":                          "[Service]\nEnvironment=B=1\n",
		"/etc/systemd/system/multi-user.target.wants/tunnel@gone.service": "-> /usr/lib/systemd/system/tunnel@.service",
		"/etc/systemd/system/tunnel@gone.service":                         "-> /dev/null",
	})
	wg0, ok := set.Unit("tunnel@wg0.service")
	g.Expect(ok).To(BeTrue())
	g.Expect(wg0.Service.Commands["ExecStart"][0].Argv).To(Equal([]string{"/usr/bin/up", "wg0", "wg0", "tunnel@wg0.service", "tunnel@wg0", "tunnel", "vps", "%"}))
	g.Expect(wg0.Service.Environment).To(Equal([]string{"B=1", "A=wg0"}))
	other, _ := set.Unit("tunnel@a-b.service")
	g.Expect(other.Service.Commands["ExecStart"]).To(HaveLen(1))
	g.Expect(other.Service.Commands["ExecStart"][0].Argv).To(Equal([]string{"/usr/bin/other", "a/b"}))
	gone, _ := set.Unit("tunnel@gone.service")
	g.Expect(gone.Skipped).To(ContainSubstring("masked"))
	_, online := set.Unit("network-online.target")
	g.Expect(online).To(BeTrue())
}

func TestAnAliasIsTheUnitItStandsFor(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{"ssh.service": oneshot, "late.service": "[Unit]\nAfter=sshd.service\n" + oneshot})
	files["/etc/systemd/system/sshd.service"] = "-> /usr/lib/systemd/system/ssh.service"
	files["/etc/systemd/system/multi-user.target.wants/sshd.service"] = "-> /etc/systemd/system/sshd.service"
	set := loaded(t, files)
	g.Expect(names(set)).To(Equal([]string{"late.service", "ssh.service"}))
	g.Expect(set.order["late.service"]).To(ContainElement("ssh.service"))
}

func TestAFirewallComesBeforeTheNetwork(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{
		"ssh.service":      "[Unit]\nAfter=network.target\n" + oneshot,
		"firewall.service": "[Unit]\nDefaultDependencies=no\nWants=network-pre.target\nBefore=network-pre.target\n" + oneshot,
	})
	set := loaded(t, files)
	comesBefore := func(a, b string) bool {
		todo, seen := []string{b}, map[string]bool{}
		for len(todo) > 0 {
			next := todo[0]
			todo = todo[1:]
			if next == a {
				return true
			}
			if !seen[next] {
				seen[next] = true
				todo = append(todo, set.order[next]...)
			}
		}
		return false
	}
	g.Expect(comesBefore("firewall.service", "ssh.service")).To(BeTrue())
	g.Expect(comesBefore("ssh.service", "firewall.service")).To(BeFalse())
	g.Expect(comesBefore("sysinit.target", "ssh.service")).To(BeTrue())
	g.Expect(comesBefore("sysinit.target", "firewall.service")).To(BeFalse())
	g.Expect(comesBefore("ssh.service", "multi-user.target")).To(BeTrue())
}

func TestWhatAUnitFileSaysAndIsNotHonouredIsAnErrorWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/true\nRootDirectory=/srv\n": "/usr/lib/systemd/system/x.service:6: RootDirectory=/srv is not supported: the node's own root is the only one",
		"[Service]\nExecStart=/bin/true\nPrivateNetwork=yes\n":                          "x.service:3: PrivateNetwork=yes is not supported",
		"[Service]\nExecStart=/bin/true\nRestrictAddressFamilies=AF_INET AF_UNIX\n":     "x.service:3: RestrictAddressFamilies=",
		"[Service]\nExecStart=/bin/true\nFlavour=vanilla\n":                             "x.service:3: Flavour=vanilla is not supported",
		"[Service]\nExecStart=bin/true\n":                                               `x.service:2: ExecStart=bin/true: "bin/true" is neither`,
		"[Service]\nType=dbus\nExecStart=/bin/true\n":                                   "x.service:2: Type=dbus is not supported",
		"[Service]\nType=notify\nExecStart=/bin/a\nExecStart=/bin/b\n":                  "x.service:2: only Type=oneshot",
		"[Service]\nUser=a\n":                                          "the service has no ExecStart=",
		"[Service]\nExecStart=/bin/a %z\n":                             "x.service:2: ExecStart=/bin/a %z: the specifier %z is not supported",
		"[Service]\nTimeoutStartSec=soon\nExecStart=/bin/a\n":          `x.service:2: "soon" is no time span`,
		"[Unit]\nConditionMemory=1G\n[Service]\nExecStart=/bin/a\n":    "x.service:2: ConditionMemory=1G is not supported",
		"[Service]\nExecStart=/bin/a \"open\n":                         "a \" is not closed",
		"[Timer]\nOnBootSec=1\n":                                       "x.service:2: [Timer] is not supported",
		"Key=value\n":                                                  "x.service:1: a unit file begins with a section",
		"[Service]\nnonsense\n":                                        `x.service:2: "nonsense" is neither`,
		"[Service\nExecStart=/bin/a\n":                                 "x.service:1:",
		"[Unit]\nConflicts=y.service\n[Service]\nExecStart=/bin/a\n":   "x.service:2: x.service and y.service are both started",
		"[Unit]\nRequires=gone.service\n[Service]\nExecStart=/bin/a\n": "x.service:2: gone.service is required and has no unit file",
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(refused(t, enabled(map[string]string{"x.service": text, "y.service": oneshot}))).To(ContainSubstring(want))
		})
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	g := NewWithT(t)
	said := refused(t, enabled(map[string]string{
		"a.service": "[Service]\nExecStart=/bin/a\nRootImage=x\nDynamicUser=yes\n",
		"b.service": "[Service]\nExecStart=/bin/a\nRootImage=x\n",
	}))
	g.Expect(strings.Split(said, "\n")).To(HaveLen(3))
}

func TestALinkThatEnablesNothingIsAMistake(t *testing.T) {
	g := NewWithT(t)
	g.Expect(refused(t, map[string]string{"/etc/systemd/system/multi-user.target.wants/gone.service": "-> /usr/lib/systemd/system/gone.service"})).
		To(ContainSubstring("/etc/systemd/system/multi-user.target.wants/gone.service: gone.service is enabled and has no unit file"))
	g.Expect(refused(t, map[string]string{
		"/usr/lib/systemd/system/ssh.socket":                     "[Socket]\nListenStream=22\n",
		"/etc/systemd/system/multi-user.target.wants/ssh.socket": "-> /usr/lib/systemd/system/ssh.socket",
	})).To(ContainSubstring("enable ssh.service instead"))
}

func TestUnitsThatWaitForEachOtherAreNamed(t *testing.T) {
	g := NewWithT(t)
	said := refused(t, enabled(map[string]string{
		"a.service": "[Unit]\nAfter=b.service\n" + oneshot,
		"b.service": "[Unit]\nAfter=c.service\n" + oneshot,
		"c.service": "[Unit]\nAfter=a.service\n" + oneshot,
	}))
	g.Expect(said).To(ContainSubstring("these units wait for each other"))
	for _, name := range []string{"a.service", "b.service", "c.service"} {
		g.Expect(said).To(ContainSubstring(name))
	}
	g.Expect(said).To(MatchRegexp(`^/usr/lib/systemd/system/[abc]\.service:2: `))
}

func TestWhatIsEnabledAndNotRunIsSaid(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{"systemd-networkd.service": oneshot, "a.timer": "[Timer]\nOnBootSec=1\n"})
	files["/etc/systemd/system/getty.target.wants/getty@tty1.service"] = "-> /usr/lib/systemd/system/getty@.service"
	set := loaded(t, files)
	g.Expect(set.Notes).To(Equal([]string{
		"a.timer is enabled: timer units are not run yet",
		"getty@tty1.service is enabled for getty.target, which is not started here",
		"systemd-networkd.service is enabled and not run: the driver makes links and addresses",
	}))
}

func TestLinksThatGoRoundAreNoUnits(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{"a.service": "-> b.service", "b.service": "-> a.service"})
	g.Expect(refused(t, files)).To(ContainSubstring("has no unit file"))
}

func TestPositionsCountEveryLine(t *testing.T) {
	g := NewWithT(t)
	text := "# comment\n\n[Service]\r\n; another\nExecStart=/bin/a \\\n  b \\\n# inside\n  c\n\nUser=x\n"
	got, err := Parse("/f", []byte(text))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(HaveLen(2))
	g.Expect(got[0].Value).To(Equal("/bin/a b c"))
	g.Expect(got[0].At.Line).To(Equal(5))
	g.Expect(got[1].At.Line).To(Equal(10))
}

func TestEveryHarmlessDirectiveHasItsReason(t *testing.T) {
	for key, reason := range harmless {
		if reason == "" || !strings.Contains(key, ".") {
			t.Errorf("%s has no reason", key)
		}
		if name := key[strings.Index(key, ".")+1:]; unsupported[name] != "" || slices.Contains(execKeys, name) {
			t.Errorf("%s is both harmless and not", key)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"[Unit]\nDescription=x\n[Service]\nExecStart=-/bin/sh -c 'a \\\n b'\nType=oneshot\n",
		"[Service]\nExecStart=@/bin/a b \"c \\x41\" $D ${E} ; /bin/f\nEnvironment=\"A=b c\"\nTimeoutSec=1min 3s\n",
		"[Unit]\nConditionPathExists=|!/a\nAfter=%i.service\n", "[a]\nb=c\\", "[]\n=\n", "[x]]\na=b", "[x]\n\\\na=b", "\x00[x]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		directives, err := Parse("/x.service", text)
		if err != nil {
			return
		}
		lines := strings.Count(string(text), "\n") + 1
		last := 0
		for _, d := range directives {
			if d.At.Line <= last || d.At.Line > lines {
				t.Fatalf("%v is on line %d after line %d of %d", d, d.At.Line, last, lines)
			}
			last = d.At.Line
		}
		u := &Unit{Name: "x@y.service", Path: "/x.service", Directives: directives, defaults: true}
		u.init()
		if problems := u.interpret(); len(problems) == 0 {
			for _, c := range u.Service.Commands["ExecStart"] {
				fill(c.Argv, map[string]string{"D": "a 'b"})
			}
		}
	})
}
