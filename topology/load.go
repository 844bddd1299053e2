package topology

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// siteFile is the file that makes a folder a site.
const siteFile = "site.yaml"

// maxSiteFile bounds site.yaml. A hub with a thousand spokes has 150 kB.
const maxSiteFile = 1 << 20

// Load reads the site in the folder dir and checks it. It needs no privileges,
// has no side effects and reads nothing outside of the folder. What is wrong
// with the site comes all at once, sorted, as [Problems].
func Load(dir string) (*Site, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("load the site %s: %w", dir, err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("load the site %s: %w", dir, err)
	}
	defer root.Close()

	l := &loader{root: root, site: &Site{Dir: abs}, sum: sha256.New(), modes: map[string]map[string]mode{}, unsure: map[string]bool{}}
	l.load()
	if len(l.problems) > 0 {
		l.problems.Sort()
		return nil, l.problems
	}
	return l.site, nil
}

// loader fills a site and collects what is wrong with it.
type loader struct {
	root     *os.Root
	doc      document
	site     *Site
	sum      hash.Hash
	modes    map[string]map[string]mode // node → path → what site.yaml says of it
	unsure   map[string]bool            // "lan ipv4": a prefix that could not be read
	files    int
	problems Problems
}

func (l *loader) load() {
	readable := l.readDocument()
	if readable {
		l.head()
		l.networks()
		l.services()
		l.nodes()
	}
	// The files are looked through even when site.yaml is no YAML: a key that
	// was left in one of them should not wait for the next try.
	l.nodeFiles(readable)
	if !readable {
		return
	}
	l.tunnels()
	l.placeholders()
	l.units()
	l.promises()
	l.waivers()
	l.site.hash = fmt.Sprintf("%x", l.sum.Sum(nil))
}

func (l *loader) problem(at Position, path, format string, args ...any) {
	l.problems = append(l.problems, Problem{Position: at, Path: path, Text: fmt.Sprintf(format, args...)})
}

// readDocument reads site.yaml, and says whether the rest can be judged by it.
func (l *loader) readDocument() bool {
	content, ok := l.readSiteFile()
	if !ok {
		return false
	}
	l.sum.Write(content)
	doc, problems := parseDocument(siteFile, content)
	l.doc = doc
	l.problems = append(l.problems, problems...)
	l.secrets(File{At: Position{File: siteFile}, Path: "/" + siteFile}, content)
	return doc.given()
}

func (l *loader) readSiteFile() ([]byte, bool) {
	at := Position{File: siteFile}
	info, err := l.root.Stat(siteFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.problem(at, "", "there is none in %s; a site is a folder with a site.yaml", l.site.Dir)
		return nil, false
	case err != nil:
		l.problem(at, "", "cannot be read: %v", reason(err))
		return nil, false
	case !info.Mode().IsRegular():
		l.problem(at, "", "is %s, not a file", typeOf(info.Mode()))
		return nil, false
	case info.Size() > maxSiteFile:
		l.problem(at, "", "has %d bytes; more than %d is no site anybody can read. Is it the right file?", info.Size(), maxSiteFile)
		return nil, false
	}
	content, err := l.read(siteFile, maxSiteFile)
	if err != nil {
		l.problem(at, "", "cannot be read: %v", reason(err))
		return nil, false
	}
	return content, true
}

// errTooBig says that a file grew while it was read.
var errTooBig = errors.New("it is too big")

// read reads a file below the site's folder; links that leave it are errors.
func (l *loader) read(name string, limit int64) ([]byte, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, errTooBig
	}
	return content, nil
}

// reason strips what the position says already: the operation and the path.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// typeOf names what is no ordinary file.
func typeOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a link"
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeCharDevice != 0:
		return "a character device"
	case m&fs.ModeDevice != 0:
		return "a block device"
	}
	return "no ordinary file"
}
