package netns

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// unitFolder is where a program's units stand in a node.
const unitFolder = "/usr/lib/systemd/system"

// borrowing is what a lab on this root takes from the machine: nothing, unless
// the root is composed.
func (l *Lab) borrowing(root rootfs.Root) borrowing {
	if len(root.Borrowed) == 0 {
		return borrowing{}
	}
	// A spec may put a program of its own into a running node.
	b := borrowing{From: root.Borrowed, Within: []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", unitFolder}}
	for _, p := range registered() {
		b.Within = append(b.Within, filepath.Dir(p.Path))
	}
	for _, m := range l.site.Nodes {
		for _, f := range m.Files {
			b.Within = append(b.Within, filepath.Dir(f.Path))
		}
	}
	return b
}

func (l *Lab) isFixed(path string) bool {
	for _, dir := range l.fixed {
		if isBelow(path, dir) {
			return true
		}
	}
	return false
}

// layable refuses files of the site that cannot lie where they should.
func (l *Lab) layable() error {
	var errs []error
	for _, m := range l.site.Nodes {
		for _, f := range m.Files {
			if l.isFixed(f.Path) {
				errs = append(errs, fmt.Errorf("%s: cannot lie in a node's %s", f.At, filepath.Dir(f.Path)))
			}
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errors.Join(append(errs, fmt.Errorf("something is mounted below this machine's %s, so nothing can be laid over it: %w", strings.Join(l.fixed, ", "), l.ids.Single))...)
}

// explainLack adds, where a unit or a program is missing, that this machine's
// are all that there is.
func (l *Lab) explainLack(err error) error {
	if !l.composed {
		return err
	}
	return fmt.Errorf("%w (nodes have no programs here but this machine's own; with a range of ids they would have Debian 13's: %w)", err, l.ids.Single)
}

// weaker says what a lab with one id proves less of, and how to get more.
func (l *Lab) weaker(root rootfs.Root) []string {
	if l.ids.Single == nil {
		return root.Weaker
	}
	out := append([]string{}, root.Weaker...)
	if !l.composed {
		out = append(out, "every file of a node belongs to one user, so owners are not kept and no program can change its user")
	}
	if len(l.fixed) > 0 {
		var names []string
		for _, p := range registered() {
			if l.isFixed(p.Path) {
				names = append(names, p.Name)
			}
		}
		out = append(out, fmt.Sprintf("something is mounted below this machine's %s, so nodes lack %s", strings.Join(l.fixed, ", "), strings.Join(names, ", ")))
	}
	return append(out, "all this because there is no range of ids: "+l.ids.Single.Error())
}
