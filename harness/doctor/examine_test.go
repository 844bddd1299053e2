package doctor

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var worked = Trial{Tried: true}

// able is a machine on which everything works.
func able() (Machine, *Trials) {
	all := &Trials{Namespaces: worked, Ids: worked, Overlay: worked, Proc: worked, Links: worked, Nft: worked, Tun: worked, WireGuard: worked, Netem: worked}
	m := Machine{
		Root: fstest.MapFS{
			"etc/subuid":  {Data: []byte("anna:100000:65536\n")},
			"etc/subgid":  {Data: []byte("anna:100000:65536\n")},
			"dev/net/tun": {Mode: 0o666},
			"usr/share/keyrings/debian-archive-keyring.gpg": {},
			"proc/sys/user/max_user_namespaces":             {Data: []byte("96365\n")},
		},
		Release: "6.12.1", User: "anna", UID: 1000, Cache: "/home/anna/.cache/pbsdrill", Free: 10 << 30,
		Look:    func(program string) (string, error) { return "/usr/bin/" + program, nil },
		GoFound: func(context.Context) (string, error) { return "go1.26.8", nil },
		Cached:  func() (string, error) { return "/home/anna/.cache/pbsdrill/root.tar", nil },
		Try:     func(context.Context, []string) Trials { return *all },
	}
	return m, all
}

func (m Machine) with(name, text string) Machine {
	m.Root.(fstest.MapFS)[name] = &fstest.MapFile{Data: []byte(text)}
	return m
}

func TestAnAbleMachineNeedsNothing(t *testing.T) {
	m, _ := able()
	r := Examine(t.Context(), m)
	if !r.CanRun {
		t.Error("a lab cannot run")
	}
	for _, l := range r.Lines {
		if l.State != OK || l.Weakens != "" || l.Mend != "" || l.Saw == "" {
			t.Errorf("%+v", l)
		}
	}
}

func TestWhatIsMissingIsNamedWithTheCommandThatMendsIt(t *testing.T) {
	refused := Trial{Tried: true, Error: "operation not permitted"}
	none := Trials{Namespaces: refused}
	for name, c := range map[string]struct {
		change func(*Machine, *Trials)
		line   string
		state  State
		mend   string
	}{
		"no user namespaces": {func(m *Machine, all *Trials) { *all = none; m.with("proc/sys/user/max_user_namespaces", "0\n") }, "user namespaces", Missing, "sudo sysctl -w user.max_user_namespaces="},
		"Debian's switch":    {func(m *Machine, all *Trials) { *all = none; m.with("proc/sys/kernel/unprivileged_userns_clone", "0\n") }, "user namespaces", Missing, "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		"Ubuntu's rule": {func(m *Machine, all *Trials) {
			all.Overlay = refused
			m.with("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
		}, "overlay", Missing, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		"a container":   {func(m *Machine, all *Trials) { *all = none }, "user namespaces", Missing, "ask whoever runs this machine"},
		"no range":      {func(m *Machine, _ *Trials) { m.with("etc/subuid", "bert:100000:65536\n") }, "sub-ids", Weaker, "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 anna"},
		"a short range": {func(m *Machine, _ *Trials) { m.with("etc/subgid", "anna:100000:1000\n") }, "sub-ids", Weaker, "sudo usermod"},
		"no newuidmap":  {func(m *Machine, _ *Trials) { m.Look = missing("newuidmap") }, "sub-ids", Weaker, "sudo apt-get install uidmap"},
		"closed tun": {func(m *Machine, all *Trials) {
			all.Tun, all.WireGuard = refused, refused
			m.Root.(fstest.MapFS)["dev/net/tun"].Mode = 0o600
		}, "/dev/net/tun", Missing, "sudo chmod 0666 /dev/net/tun"},
		"closed tun, kernel WG": {func(m *Machine, all *Trials) { all.Tun = refused; m.Root.(fstest.MapFS)["dev/net/tun"].Mode = 0o600 }, "/dev/net/tun", Weaker, "sudo chmod 0666 /dev/net/tun"},
		"no tun": {func(m *Machine, all *Trials) {
			all.Tun, all.WireGuard = refused, refused
			delete(m.Root.(fstest.MapFS), "dev/net/tun")
		}, "/dev/net/tun", Missing, "sudo modprobe tun"},
		"no kernel WireGuard": {func(_ *Machine, all *Trials) { all.WireGuard = refused }, "kernel WireGuard", Weaker, "none needed"},
		"no netem":            {func(_ *Machine, all *Trials) { all.Netem = refused }, "netem", Weaker, "none needed"},
		"no nft":              {func(_ *Machine, all *Trials) { all.Nft = refused }, "nft", Missing, "use a kernel that has it"},
		"root not made":       {func(m *Machine, _ *Trials) { m.Cached = func() (string, error) { return "", nil } }, "Debian 13 root", Weaker, "pbsdrill rootfs"},
		"no mmdebstrap": {func(m *Machine, _ *Trials) {
			m.Look = missing("mmdebstrap")
			m.Cached = func() (string, error) { return "", nil }
		}, "mmdebstrap", Missing, "sudo apt-get install mmdebstrap"},
		"no mmdebstrap, root made": {func(m *Machine, _ *Trials) { m.Look = missing("mmdebstrap") }, "mmdebstrap", Weaker, "sudo apt-get install mmdebstrap"},
		"old Go": {func(m *Machine, _ *Trials) {
			m.GoFound = func(context.Context) (string, error) { return "go1.19.8", nil }
		}, "Go", Weaker, "make drill"},
		"no Go": {func(m *Machine, _ *Trials) {
			m.GoFound = func(context.Context) (string, error) { return "", errors.New("none") }
		}, "Go", Weaker, "make drill"},
		"full disk": {func(m *Machine, _ *Trials) { m.Free = 1 << 20 }, "disk", Weaker, "pbsdrill sweep"},
	} {
		t.Run(name, func(t *testing.T) {
			m, all := able()
			c.change(&m, all)
			r := Examine(t.Context(), m)
			l, ok := r.Line(c.line)
			if !ok || l.State != c.state || !strings.HasPrefix(l.Mend, c.mend) || l.Weakens == "" {
				t.Errorf("%+v, wanted %s and %q", l, c.state, c.mend)
			}
			if r.CanRun != (c.state != Missing) {
				t.Errorf("can run: %v", r.CanRun)
			}
		})
	}
}

func missing(program string) func(string) (string, error) {
	return func(asked string) (string, error) {
		if asked == program {
			return "", fs.ErrNotExist
		}
		return "/usr/bin/" + asked, nil
	}
}

func TestRootNeedsNoSudo(t *testing.T) {
	m, _ := able()
	m.UID, m.Free = 0, 0
	m.Look = missing("mmdebstrap")
	l, _ := Examine(t.Context(), m).Line("mmdebstrap")
	if l.Mend != "apt-get install mmdebstrap" {
		t.Errorf("%q", l.Mend)
	}
}

func TestSleepingModulesAreNotTried(t *testing.T) {
	m, all := able()
	m.with("lib/modules/6.12.1/modules.dep", "kernel/drivers/net/wireguard/wireguard.ko.xz: kernel/x.ko\nkernel/net/sched/sch_netem.ko:\nkernel/drivers/net/tun.ko:\n")
	m.with("lib/modules/6.12.1/modules.builtin", "kernel/net/sched/sch_netem.ko\n")
	m.with("proc/modules", "tun 61440 2 - Live 0x0\n")
	var left []string
	m.Try = func(_ context.Context, leave []string) Trials {
		left = leave
		all.WireGuard = Trial{}
		return *all
	}
	r := Examine(t.Context(), m)
	if !slices.Equal(left, []string{leaveWireGuard}) {
		t.Errorf("left out: %q", left)
	}
	if l, _ := r.Line("kernel WireGuard"); l.State != OK || l.Saw != asleep {
		t.Errorf("%+v", l)
	}
}

func TestGoVersionsAreComparedAsNumbers(t *testing.T) {
	for version, want := range map[string]bool{"go1.26.0": true, "go1.26": true, "go1.27rc1": true, "go2.0": true, "go1.9.7": false, "go1.25.9": false, "": false, "devel": false} {
		if atLeast(version, "1.26") != want {
			t.Errorf("%q: not %v", version, want)
		}
	}
}

func FuzzSubordinate(f *testing.F) {
	f.Add("anna:100000:65536\nanna:1:2\n# x\n::\n", "anna", 1000)
	f.Add("1000:5:70000", "anna", 1000)
	f.Fuzz(func(t *testing.T, text, user string, uid int) {
		behind(text)
		if r := subordinate(text, user, uid); r.Count > 0 && !strings.Contains(text, ":") {
			t.Errorf("%v out of nothing", r)
		}
	})
}

func FuzzAtLeast(f *testing.F) {
	f.Add("go1.26.8")
	f.Fuzz(func(_ *testing.T, version string) { atLeast(version, "1.26") })
}
