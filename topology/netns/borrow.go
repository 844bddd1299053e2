package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// labLaid holds, for each borrowed folder, the folders in it that files are
// laid into, empty and our own: an overlay copies a folder up before it writes
// there, and the machine's owners have no id in a lab to be copied with.
const labLaid = "/laid"

// borrowing is what a composed root takes from the machine.
type borrowing struct {
	From   []string `json:"from"`   // folders of the machine, such as /usr
	Within []string `json:"within"` // folders that a node will lay files into
}

// loan is one borrowed folder as nodes get it.
type loan struct {
	path string
	// fixed says that nothing can be laid over it: something is mounted below
	// it on the machine, and of such a folder the kernel makes no overlay for
	// an ordinary user.
	fixed bool
}

// String is the loan as an argument of a node's agent.
func (l loan) String() string {
	if l.fixed {
		return "fixed:" + l.path
	}
	return "open:" + l.path
}

func parseLoans(args []string) ([]loan, error) {
	var out []loan
	for _, arg := range args {
		kind, path, ok := strings.Cut(arg, ":")
		if !ok || kind != "fixed" && kind != "open" {
			return nil, fmt.Errorf("%q is no borrowed folder", arg)
		}
		out = append(out, loan{path: path, fixed: kind == "fixed"})
	}
	return out, nil
}

func fixed(loans []loan) []string {
	var out []string
	for _, l := range loans {
		if l.fixed {
			out = append(out, l.path)
		}
	}
	return out
}

// borrow puts the machine's folders, read-only, where the root file system
// below base has empty ones.
func borrow(base string, q borrowing) ([]loan, error) {
	var loans []loan
	for _, from := range q.From {
		target := base + labRoot + from
		if err := unix.Mount(from, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return nil, fmt.Errorf("borrow %s: %w", from, err)
		}
		// Unlike a remount, this keeps the flags that a user may not change.
		readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		if err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, readOnly); err != nil {
			return nil, fmt.Errorf("borrow %s read-only: %w", from, err)
		}
		if err := makeLaid(base+labLaid, from, q.Within); err != nil {
			return nil, err
		}
		l := loan{path: from}
		if err := l.try(base); err != nil {
			return nil, err
		}
		loans = append(loans, l)
	}
	return loans, nil
}

// makeLaid makes the folders of one loan that files are laid into, as far as
// the machine has them; what it lacks is made in the node. A link among them
// leads to the folder that is meant.
func makeLaid(laid, from string, within []string) error {
	for _, dir := range append([]string{from}, within...) {
		for dir != from && isBelow(dir, from) {
			if _, err := os.Stat(dir); err == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || real != from && !isBelow(real, from) {
			continue
		}
		if err := os.MkdirAll(laid+real, 0o755); err != nil {
			return fmt.Errorf("make a folder to lay files into: %w", err)
		}
	}
	return nil
}

func isBelow(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }

// try finds out whether the kernel makes an overlay of the folder.
func (l *loan) try(base string) error {
	disk := base + "/try"
	target := disk + "/root"
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("try to lay files over %s: %w", l.path, err)
	}
	err := l.overlay(base, disk, target)
	if err == nil {
		err = unix.Unmount(target, 0)
	} else if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		l.fixed, err = true, nil
	}
	return errors.Join(err, os.RemoveAll(disk))
}

// overlay mounts the borrowed folder with a layer of the disk's own above it;
// lab is where the lab's files are seen.
func (l loan) overlay(lab, disk, target string) error {
	over := disk + "/over" + l.path
	for _, dir := range []string{"/upper", "/work"} {
		if err := os.MkdirAll(over+dir, 0o755); err != nil {
			return fmt.Errorf("make a layer over %s: %w", l.path, err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s:%s,upperdir=%s/upper,workdir=%s/work,userxattr", lab+labLaid+l.path, lab+labRoot+l.path, over, over)
	if err := unix.Mount("overlay", target, "overlay", 0, options); err != nil {
		return fmt.Errorf("lay files over %s: %w", l.path, err)
	}
	return nil
}

// mount gives a node the borrowed folder.
func (l loan) mount(disk, root string) error {
	if !l.fixed {
		return l.overlay("", disk, root+l.path)
	}
	if err := unix.Mount(labRoot+l.path, root+l.path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", l.path, err)
	}
	return nil
}
