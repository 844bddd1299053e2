package rootfs

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// dropped tells whether an entry of a root is left out of every node: what
// belongs to one machine, what its packages enabled, and what only apt needs.
// The name is relative to the root, clean, without a leading slash.
func dropped(name string) bool {
	dir, base := path.Split(name)
	switch {
	case under(name, "dev"), under(name, "proc"), under(name, "sys"), under(name, "run"), under(name, "tmp"):
		return true // the driver mounts its own
	case dir == "etc/ssh/" && strings.HasPrefix(base, "ssh_host_"):
		return true // else all nodes are one identity
	case isWants(name):
		return true // the site's own links are the whole truth
	case dir == "etc/iptables/" && strings.HasPrefix(base, "rules."):
		return true // the package saved the rules of the machine that built it
	case name == "usr/sbin/policy-rc.d", under(name, "var/lib/apt/lists"), under(name, "var/cache/apt"):
		return true
	case under(name, "var/cache/debconf"), under(name, "var/log"), under(name, "var/tmp"):
		return true
	}
	return name == ".dockerenv"
}

// under tells whether name lies below dir; the folder itself does not.
func under(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }

// isWants tells whether name is, or lies in, a folder of enabled units.
func isWants(name string) bool {
	rest, ok := strings.CutPrefix(name, "etc/systemd/system/")
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	return strings.HasSuffix(first, ".wants") || strings.HasSuffix(first, ".requires")
}

// emptied are files that every machine has and that name it. They exist, so
// that a site's own can be laid over them, and say nothing.
var emptied = []string{"etc/machine-id", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// mountPoints must be there although what is in them was dropped.
var mountPoints = []string{"dev", "proc", "sys", "run", "tmp", "var/log", "var/tmp", "root"}

// prepare finishes a root whose entries have been unpacked.
func prepare(root *os.Root, ids []IDMap) error {
	owner, err := outside(ids, 0)
	if err != nil {
		return err
	}
	if _, err := root.Stat("usr/bin"); err != nil {
		return fmt.Errorf("this is no root file system: it has no usr/bin")
	}
	for _, name := range mountPoints {
		if err := root.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
	}
	for _, name := range []string{"tmp", "var/tmp"} {
		if err := root.Chmod(name, 0o777|os.ModeSticky); err != nil {
			return fmt.Errorf("open %s to everybody: %w", name, err)
		}
	}
	for _, name := range mountPoints {
		if err := own(root, ids, name, owner, owner); err != nil {
			return fmt.Errorf("own %s: %w", name, err)
		}
	}
	for _, name := range emptied {
		if err := empty(root, ids, name, owner); err != nil {
			return err
		}
	}
	return nil
}

// empty makes name an empty file, whatever it was: resolv.conf is often a link.
func empty(root *os.Root, ids []IDMap, name string, owner int) error {
	if err := root.RemoveAll(name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	if err := root.WriteFile(name, nil, 0o644); err != nil {
		return fmt.Errorf("empty %s: %w", name, err)
	}
	if err := own(root, ids, name, owner, owner); err != nil {
		return fmt.Errorf("own %s: %w", name, err)
	}
	return nil
}
