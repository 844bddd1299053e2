package topology

import (
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// mode is what git cannot keep of a file.
type mode struct {
	bits         fs.FileMode
	owner, group string
	at           place
}

// defaultMode is what the packages give such a file, as far as it matters to
// those who read it. ok says whether the table has a line for a folder.
func defaultMode(name string, dir bool) (m mode, ok bool) {
	for _, line := range modeTable {
		if line.dir == dir && line.fits(name) {
			return line.mode, true
		}
	}
	return mode{bits: 0o644, owner: "root", group: "root"}, false
}

type modeLine struct {
	dir  bool
	fits func(name string) bool
	mode mode
}

// modeTable: the first line that fits is taken. PBS keeps its folder at 0700
// of user backup and its files at 0640 root:backup, but for those with secrets
// (PBS 4.2 source, pbs-config/src/lib.rs); wg-quick warns and sshd
// refuses when theirs are open to others.
var modeTable = []modeLine{
	{dir: true, fits: is("/etc/wireguard"), mode: mode{bits: 0o700, owner: "root", group: "root"}},
	{dir: true, fits: is("/etc/proxmox-backup"), mode: mode{bits: 0o700, owner: "backup", group: "backup"}},
	{dir: true, fits: is("/root"), mode: mode{bits: 0o700, owner: "root", group: "root"}},
	{dir: true, fits: is("/root/.ssh"), mode: mode{bits: 0o700, owner: "root", group: "root"}},
	{dir: true, fits: is("/etc/sudoers.d"), mode: mode{bits: 0o750, owner: "root", group: "root"}},
	{fits: below("/etc/wireguard/"), mode: mode{bits: 0o600, owner: "root", group: "root"}},
	{fits: anyOf(is("/etc/proxmox-backup/notifications-priv.cfg"), is("/etc/proxmox-backup/shadow.json")), mode: mode{bits: 0o600, owner: "root", group: "root"}},
	{fits: is("/etc/proxmox-backup/token.shadow"), mode: mode{bits: 0o640, owner: "backup", group: "backup"}},
	{fits: below("/etc/proxmox-backup/"), mode: mode{bits: 0o640, owner: "root", group: "backup"}},
	{fits: like("/etc/ssh/*_key"), mode: mode{bits: 0o600, owner: "root", group: "root"}},
	{fits: below("/root/.ssh/"), mode: mode{bits: 0o600, owner: "root", group: "root"}},
	{fits: like("/etc/shadow"), mode: mode{bits: 0o640, owner: "root", group: "shadow"}},
	{fits: like("/etc/sudoers"), mode: mode{bits: 0o440, owner: "root", group: "root"}},
	{fits: below("/etc/sudoers.d/"), mode: mode{bits: 0o440, owner: "root", group: "root"}},
	{fits: like("*.sh"), mode: mode{bits: 0o755, owner: "root", group: "root"}},
	{fits: inBin, mode: mode{bits: 0o755, owner: "root", group: "root"}},
}

func is(name string) func(string) bool { return func(s string) bool { return s == name } }

func below(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}

// like matches the whole path, or the file's name where the pattern has no slash.
func like(pattern string) func(string) bool {
	return func(s string) bool {
		if !strings.Contains(pattern, "/") {
			s = path.Base(s)
		}
		ok, _ := path.Match(pattern, s)
		return ok
	}
}

func inBin(name string) bool {
	dir := path.Base(path.Dir(name))
	return dir == "bin" || dir == "sbin"
}

// modeText is "0640", or "0640 root:backup".
var modeText = regexp.MustCompile(`^(0?[0-7]{3}|[0-7]{4})(?:\s+([a-z_][a-z0-9_-]*):([a-z_][a-z0-9_-]*))?$`)

func (l *loader) modesOf(m *Machine, e nodeEntry) {
	l.modes[m.Name] = map[string]mode{}
	for _, r := range e.Modes.Rows {
		if !path.IsAbs(r.Key.Text) || path.Clean(r.Key.Text) != r.Key.Text {
			l.problem(r.Key.At, e.Modes.Path, "%q is no absolute path of a file", short(r.Key.Text))
			continue
		}
		if !r.Value.given() {
			continue
		}
		parts := modeText.FindStringSubmatch(r.Value.Text)
		if parts == nil {
			l.problem(r.Value.At, r.Value.Path, "%q is no mode such as \"0640\" or \"0640 root:backup\"", short(r.Value.Text))
			continue
		}
		set, _ := defaultMode(r.Key.Text, false)
		set.bits = fileMode(parts[1])
		if parts[2] != "" {
			set.owner, set.group = parts[2], parts[3]
		}
		set.at = r.Value.place
		set.at.Path = e.Modes.Path
		l.modes[m.Name][r.Key.Text] = set
	}
}

// fileMode reads octal digits as chmod does.
func fileMode(octal string) fs.FileMode {
	n, _ := strconv.ParseUint(octal, 8, 32) // the pattern let only octal digits pass
	bits := fs.FileMode(n) & fs.ModePerm
	for bit, set := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			bits |= set
		}
	}
	return bits
}

// exposed says which reader refuses, or warns of, a file with these bits; "" if
// none does. The rules are those of wg-quick(8), sshd(8) and sudoers(5).
func exposed(name string, bits fs.FileMode) string {
	switch {
	case (name == "/etc/wireguard" || like("/etc/wireguard/*.conf")(name)) && bits&0o007 != 0:
		return "wg-quick warns of a file that others can use; take 0600"
	case like("/etc/ssh/*_key")(name) && bits&0o077 != 0:
		return "sshd refuses a host key that others can read; take 0600"
	case (path.Base(name) == ".ssh" || path.Base(name) == "authorized_keys" || name == "/root") && bits&0o022 != 0:
		return "sshd refuses keys that others can write to (StrictModes); take 0700 for the folder and 0600 for the file"
	case (name == "/etc/sudoers" || strings.HasPrefix(name, "/etc/sudoers.d/")) && bits&0o022 != 0:
		return "sudo refuses a file that others can write to; take 0440"
	}
	return ""
}
