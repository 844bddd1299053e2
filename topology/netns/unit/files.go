package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// folders are where unit files are, the strongest first (systemd.unit(5)).
var folders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// tree is a node's root. Absolute links resolve inside it, wherever it is
// mounted for the reader. Paths are the node's, absolute.
type tree struct {
	fs fs.FS
	// here is what the folders hold. Most of what systemd would look for is
	// not there, and asking for each of it was more than half of a load.
	here map[string]map[string]bool
}

func newTree(root fs.FS) tree {
	t := tree{fs: root, here: map[string]map[string]bool{}}
	for _, dir := range folders {
		t.here[dir] = map[string]bool{}
		for _, name := range t.list(dir) {
			t.here[dir][name] = true
		}
	}
	return t
}

var errLoop = errors.New("too many links")

// resolve follows every link of a path. The result need not exist.
func (t tree) resolve(name string) (string, error) {
	rest := strings.Split(strings.Trim(path.Clean(name), "/"), "/")
	at := "/"
	for hops := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		info, err := fs.Lstat(t.fs, inner(next))
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return "", fmt.Errorf("resolve %s: %w", name, errLoop)
		}
		target, err := fs.ReadLink(t.fs, inner(next))
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...)
	}
	return at, nil
}

// inner is a node's path as an fs.FS takes it.
func inner(name string) string {
	if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name != "" {
		return name
	}
	return "."
}

func (t tree) read(name string) ([]byte, error) {
	name, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	return fs.ReadFile(t.fs, inner(name))
}

// list is the names in a folder, sorted; none where there is no folder.
func (t tree) list(dir string) []string {
	dir, err := t.resolve(dir)
	if err != nil {
		return nil
	}
	entries, err := fs.ReadDir(t.fs, inner(dir))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// found is where a unit's file is.
type found struct {
	name   string // canonical: an alias's is that of the unit it stands for
	path   string // as systemctl shows it
	masked bool
}

// find looks a unit up in the folders, itself before its template, and follows
// aliases. ok is false where there is none.
func (t tree) find(name string) (f found, ok bool) {
	for range 8 { // an alias of an alias of …
		at, exists := t.lookup(name)
		if !exists {
			return found{}, false
		}
		target, err := t.resolve(at)
		if err != nil {
			return found{}, false
		}
		if target == "/dev/null" {
			return found{name: name, path: at, masked: true}, true
		}
		if base := instantiate(path.Base(target), split(name).instance); base != name && isUnitFolder(path.Dir(target)) {
			name = base
			continue
		}
		if text, err := fs.ReadFile(t.fs, inner(target)); err != nil {
			return found{}, false
		} else if len(text) == 0 {
			return found{name: name, path: at, masked: true}, true // as systemd takes an empty file
		}
		return found{name: name, path: at}, true
	}
	return found{}, false
}

func (t tree) lookup(name string) (string, bool) {
	for _, candidate := range []string{name, split(name).template()} {
		if candidate == "" {
			continue
		}
		for _, dir := range folders {
			if t.here[dir][candidate] {
				return dir + "/" + candidate, true
			}
		}
	}
	return "", false
}

func isUnitFolder(dir string) bool {
	return slices.Contains(folders, dir) || dir == "/lib/systemd/system"
}

// dropIns are the *.conf files that add to a unit, in the order in which they
// are read: by file name, and of equal names the strongest folder's only.
func (t tree) dropIns(name string) []string {
	p := split(name)
	scopes := []string{name + ".d"}
	if template := p.template(); template != "" {
		scopes = append(scopes, template+".d")
	}
	for i, c := range p.prefix { // a-b.service also takes a-.service.d
		if c == '-' {
			scopes = append(scopes, p.prefix[:i+1]+"."+p.suffix+".d")
		}
	}
	scopes = append(scopes, p.suffix+".d")
	files := map[string]string{}
	for _, scope := range scopes {
		for _, dir := range folders {
			if !t.here[dir][scope] {
				continue
			}
			for _, base := range t.list(dir + "/" + scope) {
				if _, taken := files[base]; !taken && strings.HasSuffix(base, ".conf") {
					files[base] = dir + "/" + scope + "/" + base
				}
			}
		}
	}
	var out []string
	for _, file := range files {
		out = append(out, file)
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return out
}

// link is one entry of a .wants or .requires folder.
type link struct {
	unit string // what is enabled
	at   string // the link itself
	hard bool   // .requires
}

// links are the site's: what is enabled for a unit in /etc/systemd/system.
func (t tree) links(name string) []link {
	var out []link
	scopes := []string{name}
	if template := split(name).template(); template != "" {
		scopes = append(scopes, template)
	}
	for _, scope := range scopes {
		for _, kind := range []string{".wants", ".requires"} {
			if !t.here[folders[0]][scope+kind] {
				continue
			}
			dir := folders[0] + "/" + scope + kind
			for _, base := range t.list(dir) {
				out = append(out, link{unit: base, at: dir + "/" + base, hard: kind == ".requires"})
			}
		}
	}
	return out
}
