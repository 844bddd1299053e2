package topology

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// rootFolders is where the node's root file system, or the node itself once it
// runs, has files of its own that a link may point to. Below other folders,
// such as /etc and /root, a link must find its target in the site.
var rootFolders = []string{
	"/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/dev/", "/proc/", "/sys/", "/run/", "/tmp/", "/var/",
	"/etc/alternatives/", "/etc/ssl/",
}

// maxHops is the kernel's own limit for links on the way to a file.
const maxHops = 40

// links checks where the links of the node lead. They resolve inside the node:
// its root is nodes/<node>/ over the Debian root.
func (w *walk) links() {
	for _, f := range w.node.Files {
		if f.Mode&fs.ModeSymlink == 0 {
			continue
		}
		if text := w.astray(f); text != "" {
			w.problem(f.At, "", "links to %s, %s", f.Target, text)
		}
	}
}

// astray says what is wrong with where a link leads; "" if nothing is.
func (w *walk) astray(f File) string {
	if climbs(path.Dir(f.Path), f.Target) {
		return fmt.Sprintf("which is outside of %s/; copy the file to here", w.folder)
	}
	name := f.Path
	for range maxHops {
		at, is := w.node.File(name)
		switch {
		case is && at.Mode&fs.ModeSymlink != 0:
			if climbs(path.Dir(at.Path), at.Target) {
				return "" // that link has a problem of its own
			}
			name = resolve(at)
			continue
		case is || w.dirs[name], enablesUnit(f.Path):
			return "" // whether a unit is there is asked by its name
		}
		if next, ok := w.through(name); ok {
			name = next
			continue
		}
		for _, dir := range rootFolders {
			if strings.HasPrefix(name+"/", dir) {
				return ""
			}
		}
		return fmt.Sprintf("and there is no %s in the site; links into %s may lead to the node's own files", path.Join(w.folder, name), "/usr and /lib")
	}
	return "which leads back to itself"
}

// through follows a link that stands in the middle of the path name.
func (w *walk) through(name string) (string, bool) {
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if at, is := w.node.File(dir); is && at.Mode&fs.ModeSymlink != 0 {
			return path.Join(resolve(at), strings.TrimPrefix(name, dir)), true
		}
	}
	return "", false
}

func resolve(link File) string {
	if path.IsAbs(link.Target) {
		return path.Clean(link.Target)
	}
	return path.Join(path.Dir(link.Path), link.Target)
}

// climbs says whether a relative target leads above the node's root. A kernel
// would stop at the root; in the repository it names another node's file, or
// one outside of the site.
func climbs(dir, target string) bool {
	if path.IsAbs(target) {
		return false
	}
	depth := strings.Count(strings.Trim(dir, "/"), "/") + 1
	if dir == "/" {
		depth = 0
	}
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
