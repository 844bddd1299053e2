package soak

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Ledger is what there is of labs on this machine, as sorted lines.
type Ledger map[string]bool

// Take writes down what a lab could leave. Dirs are folders in which it could
// leave files.
func Take(dirs []string) (Ledger, error) {
	l := Ledger{}
	if err := l.mounts(); err != nil {
		return nil, err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	for _, link := range links {
		l["link "+link.Attrs().Name] = true
	}
	if err := l.sockets(); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		l.files(dir)
	}
	return l, nil
}

// Since is what l has and the earlier ledger had not.
func (l Ledger) Since(before Ledger) []string {
	var more []string
	for _, line := range slices.Sorted(maps.Keys(l)) {
		if !before[line] {
			more = append(more, line)
		}
	}
	return more
}

// mounts takes mount points, and namespaces that are kept by a mount.
func (l Ledger) mounts() error {
	return eachLine("/proc/self/mountinfo", func(line string) {
		if f := strings.Fields(line); len(f) > 4 {
			l["mount "+f[4]] = true
		}
	})
}

// sockets takes unix sockets whose name carries our mark.
func (l Ledger) sockets() error {
	return eachLine("/proc/net/unix", func(line string) {
		if f := strings.Fields(line); len(f) > 7 && marked(f[7]) {
			l["socket "+f[7]] = true
		}
	})
}

// files takes the entries of a folder that carry our mark, hidden ones too.
func (l Ledger) files(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // it does not exist yet, or is not ours to look into
	}
	for _, e := range entries {
		if marked(dir) || marked(e.Name()) {
			l["file "+filepath.Join(dir, e.Name())] = true
		}
	}
}

func marked(name string) bool { return strings.Contains(name, "pbsdrill") }

func eachLine(name string, do func(string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}
