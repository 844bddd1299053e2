package unit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
)

// condition is one Condition…= or Assert…= line.
type condition struct {
	text     string // as written
	kind     string // PathExists, …
	argument string
	negated  bool
	any      bool // "|": one of these is enough
	assert   bool
	at       topology.Position
}

// checks decide conditions. A node is neither booted for the first time nor a
// container to its units: it stands for the host whose files it has.
var checks = map[string]func(root, argument string) (bool, error){
	"PathExists":         func(root, a string) (bool, error) { _, err := os.Stat(root + a); return err == nil, nil },
	"PathExistsGlob":     func(root, a string) (bool, error) { m, err := filepath.Glob(root + a); return len(m) > 0, err },
	"PathIsDirectory":    func(root, a string) (bool, error) { i, err := os.Stat(root + a); return err == nil && i.IsDir(), nil },
	"PathIsSymbolicLink": isLink,
	"PathIsMountPoint":   isMount,
	"PathIsReadWrite":    isWritable,
	"DirectoryNotEmpty":  func(root, a string) (bool, error) { e, _ := os.ReadDir(root + a); return len(e) > 0, nil },
	"FileNotEmpty": func(root, a string) (bool, error) {
		i, err := os.Stat(root + a)
		return err == nil && i.Mode().IsRegular() && i.Size() > 0, nil
	},
	"FileIsExecutable": func(root, a string) (bool, error) {
		i, err := os.Stat(root + a)
		return err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0, nil
	},
	"FirstBoot":         func(_, a string) (bool, error) { yes, err := boolean(a); return !yes, err },
	"NeedsUpdate":       func(string, string) (bool, error) { return false, nil },
	"Capability":        func(string, string) (bool, error) { return true, nil },
	"KernelCommandLine": func(string, string) (bool, error) { return false, nil },
	"ACPower":           func(_, a string) (bool, error) { return boolean(a) },
	"Virtualization":    virtualization,
	"Security":          func(string, string) (bool, error) { return false, nil },
	"Credential":        func(string, string) (bool, error) { return false, nil },
	"Host":              nil, // needs the node's name: see holds
}

func (u *Unit) takeCondition(d Directive) error {
	c := condition{text: d.String(), at: d.At, assert: strings.HasPrefix(d.Key, "Assert")}
	c.kind = strings.TrimPrefix(strings.TrimPrefix(d.Key, "Condition"), "Assert")
	if _, known := checks[c.kind]; !known {
		return refuse(d)
	}
	if d.Value == "" {
		u.conditions = nil
		return nil
	}
	value, err := u.expand(d.Value)
	if err != nil {
		return err
	}
	value, c.any = strings.CutPrefix(value, "|")
	c.argument, c.negated = strings.CutPrefix(value, "!")
	if strings.HasPrefix(c.kind, "Path") || strings.HasPrefix(c.kind, "File") || strings.HasPrefix(c.kind, "Dir") {
		if !strings.HasPrefix(c.argument, "/") {
			return fmt.Errorf("%s: %q is not an absolute path", d.Key, c.argument)
		}
	}
	u.conditions = append(u.conditions, c)
	return nil
}

// unmet returns the first condition that keeps the unit from starting: every
// plain one must hold, and one of those that "|" marks.
func (u *Unit) unmet(root string) (*condition, error) {
	var marked *condition
	var anyHolds bool
	for i := range u.conditions {
		c := &u.conditions[i]
		ok, err := u.holds(c, root)
		if err != nil {
			return c, fmt.Errorf("%s: %w", c.text, err)
		}
		switch {
		case c.any:
			marked = c
			anyHolds = anyHolds || ok
		case !ok:
			return c, nil
		}
	}
	if anyHolds {
		return nil, nil
	}
	return marked, nil
}

func (u *Unit) holds(c *condition, root string) (bool, error) {
	check := checks[c.kind]
	if c.kind == "Host" {
		check = func(_, a string) (bool, error) { return filepath.Match(a, u.node) }
	}
	ok, err := check(strings.TrimSuffix(root, "/"), c.argument)
	return ok != c.negated, err
}

func isLink(root, a string) (bool, error) {
	info, err := os.Lstat(root + a)
	return err == nil && info.Mode()&fs.ModeSymlink != 0, nil
}

func isMount(root, a string) (bool, error) {
	name := filepath.Clean(root + a)
	info, err := os.Stat(name)
	if err != nil {
		return false, nil
	}
	above, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return false, err
	}
	here, ok := info.Sys().(*syscall.Stat_t)
	there, known := above.Sys().(*syscall.Stat_t)
	if !ok || !known {
		return false, nil
	}
	return here.Dev != there.Dev || here.Ino == there.Ino, nil
}

// isWritable is true of a path whose file system is not mounted read-only;
// permissions don't count (systemd.unit(5), ConditionPathIsReadWrite=).
func isWritable(root, a string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(root+a, &st); err != nil {
		return false, nil
	}
	return st.Flags&unix.ST_RDONLY == 0, nil
}

// virtualization: a node takes the place of a real or a rented virtual machine.
func virtualization(_, a string) (bool, error) {
	switch a {
	case "yes", "true", "1", "vm", "kvm", "qemu":
		return true, nil
	}
	return false, nil
}
