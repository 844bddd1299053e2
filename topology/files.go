package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// maxFile and maxFiles bound what is read: a node's files are configuration.
const (
	maxFile  = 16 << 20
	maxFiles = 20_000
)

// nodeFiles goes through nodes/. Folders of nodes that site.yaml does not know
// are problems when known is set, and looked through all the same.
func (l *loader) nodeFiles(known bool) {
	entries, err := l.list("nodes")
	if errors.Is(err, fs.ErrNotExist) {
		return // a site without files is a set of bare nodes
	}
	if err != nil {
		l.problem(Position{File: "nodes"}, "", "cannot be read: %v", reason(err))
		return
	}
	for _, entry := range entries {
		name := path.Join("nodes", entry.Name())
		at := Position{File: name}
		if !entry.IsDir() {
			if !strings.HasPrefix(entry.Name(), ".") {
				l.problem(at, "", "is %s; below nodes/ there is a folder for each node and nothing else", fileKind(entry.Type()))
			}
			continue
		}
		m, ok := l.site.Machine(entry.Name())
		if !ok {
			if known {
				l.problem(at, "", "node %q is not defined in %s%s", entry.Name(), siteFile, wayOut(entry.Name(), l.nodeNames()))
			}
			m = &Machine{Name: entry.Name(), tunnels: map[string]WireGuard{}}
		}
		w := walk{loader: l, node: m, folder: name}
		w.below("/")
		sort.Slice(m.Files, func(i, j int) bool { return m.Files[i].Path < m.Files[j].Path })
		w.links()
		w.unusedModes()
	}
}

func fileKind(m fs.FileMode) string {
	if m.IsRegular() {
		return "a file"
	}
	return typeOf(m)
}

func (l *loader) list(name string) ([]fs.DirEntry, error) {
	info, err := l.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("it is %s, not a folder", fileKind(info.Mode().Type()))
	}
	return fs.ReadDir(l.root.FS(), name)
}

// walk goes through the folder of one node.
type walk struct {
	*loader
	node   *Machine
	folder string          // nodes/vps
	dirs   map[string]bool // every folder, by its path inside the node
}

func (w *walk) at(name string) Position { return Position{File: path.Join(w.folder, name)} }

// below takes in the folder dir, a path inside the node.
func (w *walk) below(dir string) {
	if w.dirs == nil {
		w.dirs = map[string]bool{}
	}
	w.dirs[dir] = true
	entries, err := w.list(path.Join(w.folder, dir))
	if err != nil {
		w.problem(w.at(dir), "", "cannot be read: %v", reason(err))
		return
	}
	for _, entry := range entries {
		w.files++
		if w.files > maxFiles {
			if w.files == maxFiles+1 {
				w.problem(w.at(dir), "", "the site has more than %d files; it holds what hosts are configured by, not their data", maxFiles)
			}
			return
		}
		w.entry(path.Join(dir, entry.Name()), entry.Type())
	}
}

func (w *walk) entry(name string, kind fs.FileMode) {
	f := File{Path: name, Source: filepath.Join(w.site.Dir, w.folder, name), At: w.at(name)}
	switch {
	case kind.IsDir():
		if w.mode(&f, true) {
			f.Mode |= fs.ModeDir
			w.keep(f, nil)
		}
		w.below(name)
	case kind.IsRegular():
		content, err := w.content(f)
		if err != nil {
			w.problem(f.At, "", "cannot be read: %v", reason(err))
			return
		}
		w.mode(&f, false)
		w.keep(f, content)
		w.inspect(f, content)
	case kind&fs.ModeSymlink != 0:
		target, err := w.root.Readlink(path.Join(w.folder, name))
		if err != nil {
			w.problem(f.At, "", "cannot be read: %v", reason(err))
			return
		}
		f.Mode, f.Target, f.Owner, f.Group = fs.ModeSymlink|0o777, target, "root", "root"
		w.keep(f, []byte(target))
	default:
		w.problem(f.At, "", "is %s; a site has files, folders and links", typeOf(kind))
	}
}

func (w *walk) content(f File) ([]byte, error) {
	info, err := w.root.Lstat(f.At.File)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // it changed since the folder was read
		return nil, fmt.Errorf("it is %s", typeOf(info.Mode()))
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("it has %d bytes; a site's files have %d at most", info.Size(), maxFile)
	}
	return w.read(f.At.File, maxFile)
}

// mode fills in what git cannot keep, and says whether anything is said of it.
func (w *walk) mode(f *File, dir bool) bool {
	m, listed := defaultMode(f.Path, dir)
	own, set := w.modes[w.node.Name][f.Path]
	at := place{At: f.At}
	if set {
		m, at = own, own.at
	}
	f.Mode, f.Owner, f.Group = m.bits, m.owner, m.group
	if why := exposed(f.Path, m.bits); why != "" {
		w.problem(at.At, at.Path, "%s gets mode %04o: %s", f.Path, m.bits.Perm(), why)
	}
	return listed || set
}

// keep adds the file to the node and to the site's hash. Lengths go into the
// hash first, so that no file can pass for the end of another.
func (w *walk) keep(f File, content []byte) {
	w.node.Files = append(w.node.Files, f)
	fmt.Fprintf(w.sum, "%q %v %q %q %d\n", f.At.File, f.Mode, f.Owner, f.Group, len(content))
	w.sum.Write(content)
}

// inspect looks into a file for what no run is needed for.
func (w *walk) inspect(f File, content []byte) {
	w.secrets(f, content)
	found, problems := scan(f.At.File, content)
	for _, p := range found {
		w.site.placeholders = append(w.site.placeholders, p.Placeholder)
	}
	w.problems = append(w.problems, problems...)
	if name, ok := tunnelName(f.Path); ok {
		w.wireguard(w.node, name, f, content)
	}
}

func (w *walk) unusedModes() {
	for name, m := range w.modes[w.node.Name] {
		if _, ok := w.node.File(name); !ok {
			w.problem(m.at.At, m.at.Path, "there is no %s%s", path.Join(w.folder, name), wayOut(name, w.paths()))
		}
	}
}

func (w *walk) paths() []string {
	var names []string
	for _, f := range w.node.Files {
		if !slices.Contains(names, f.Path) && len(names) < 20 {
			names = append(names, f.Path)
		}
	}
	return names
}
