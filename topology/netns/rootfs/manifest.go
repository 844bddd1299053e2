package rootfs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// manifest is what is known of a root, next to it. It is written last: a root
// without one is not a root.
type manifest struct {
	Format   int               `json:"format"`
	Release  string            `json:"release"`
	SHA256   string            `json:"sha256"`
	Source   string            `json:"source,omitempty"`
	Packages map[string]string `json:"packages"`
	Borrowed []string          `json:"borrowed,omitempty"`
	Weaker   []string          `json:"weaker,omitempty"`
	Entries  int               `json:"entries"` // lines of the listing
	Bytes    int64             `json:"bytes"`   // of all its files
}

const manifestFormat = 1

// errCorrupt says that a cached root is not what was put there.
var errCorrupt = errors.New("the cached root file system is damaged")

// list writes dir/files: a line "SIZE NAME" for each file and "- NAME" for
// everything else below dir/root.
func list(dir string) error {
	var out bytes.Buffer
	root := dir + "/root"
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		size := "-"
		if d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			size = strconv.FormatInt(info.Size(), 10)
		}
		fmt.Fprintf(&out, "%s %s\n", size, strings.TrimPrefix(name, root+"/"))
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the root: %w", err)
	}
	return os.WriteFile(dir+"/files", out.Bytes(), 0o644)
}

// write completes a root that has been unpacked to dir.
func (m manifest) write(dir string) error {
	listing, err := os.ReadFile(dir + "/files")
	if err != nil {
		return err
	}
	m.Format = manifestFormat
	m.Entries, m.Bytes, err = total(listing)
	if err != nil {
		return err
	}
	if m.Release == "" {
		m.Release = release(dir + "/root")
	}
	if m.Packages == nil {
		m.Packages = versions(dir + "/root")
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(dir+"/manifest.json", append(text, '\n'), 0o644)
}

func total(listing []byte) (entries int, size int64, err error) {
	for line := range strings.Lines(string(listing)) {
		text, _, ok := strings.Cut(line, " ")
		if !ok || !strings.HasSuffix(line, "\n") {
			return 0, 0, fmt.Errorf("%w: its listing is cut off", errCorrupt)
		}
		entries++
		if text == "-" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: its listing is unreadable", errCorrupt)
		}
		size += n
	}
	return entries, size, nil
}

// check opens a cached root and compares every file's size with its listing.
// Contents are not read: a crash of the machine leaves short files, and nobody
// but the owner of the cache can write there.
func check(dir string) (Root, error) {
	text, err := os.ReadFile(dir + "/manifest.json")
	if err != nil {
		return Root{}, err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil || m.Format != manifestFormat {
		return Root{}, fmt.Errorf("%w: its manifest is unreadable", errCorrupt)
	}
	listing, err := os.ReadFile(dir + "/files")
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	entries, size, err := total(listing)
	if err != nil {
		return Root{}, err
	}
	if entries != m.Entries || size != m.Bytes {
		return Root{}, fmt.Errorf("%w: its listing has %d entries, %d were made", errCorrupt, entries, m.Entries)
	}
	if err := compare(dir+"/root", string(listing)); err != nil {
		return Root{}, err
	}
	return Root{Dir: dir + "/root", Release: m.Release, SHA256: m.SHA256, Source: m.Source, Packages: m.Packages, Borrowed: m.Borrowed, Weaker: m.Weaker}, nil
}

func compare(root, listing string) error {
	for line := range strings.Lines(listing) {
		text, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		info, err := os.Lstat(root + "/" + name)
		if errors.Is(err, fs.ErrPermission) {
			continue // below a private folder of another id, which an ordinary user cannot enter
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		seen := "-"
		if info.Mode().IsRegular() {
			seen = strconv.FormatInt(info.Size(), 10)
		}
		if seen != text {
			return fmt.Errorf("%w: %s has size %s, not %s", errCorrupt, name, seen, text)
		}
	}
	return nil
}

// release is the name of the distribution, with Debian's point release.
func release(root string) string {
	name := "unknown release"
	text, err := os.ReadFile(root + "/usr/lib/os-release")
	if err != nil {
		text, _ = os.ReadFile(root + "/etc/os-release")
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			name = strings.Trim(value, `"'`)
		}
	}
	if point, err := os.ReadFile(root + "/etc/debian_version"); err == nil {
		name += ", " + strings.TrimSpace(string(point))
	}
	return name
}

// versions reads dpkg's database for the tools that a report names.
func versions(root string) map[string]string {
	found := map[string]string{}
	f, err := os.Open(root + "/var/lib/dpkg/status")
	if err != nil {
		return found
	}
	defer f.Close()
	var name string
	var installed bool // not merely its configuration left behind
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case key == "Package":
			name = value
		case key == "Status":
			installed = strings.HasSuffix(value, " installed")
		case key == "Version" && installed && slices.Contains(tools, name):
			found[name] = value
		}
	}
	return found
}
