package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Options says how a root is had. IDs or Enter must be set: both say who the
// files belong to.
type Options struct {
	// Cache is the folder that keeps roots; "" is [DefaultCache].
	Cache string
	// Source is a site's own root: a folder or a tarball (.tar, .tar.gz,
	// .tar.bz2), absolute. "" is the built-in Debian 13.
	Source string
	// Mirror is where mmdebstrap fetches packages; "" is its own choice.
	Mirror string
	// IDs maps the node's user and group ids to the machine's. Root only, but
	// for a map of one id: with it every file belongs to the caller.
	IDs []IDMap
	// Enter runs [Program] inside a user namespace that maps the nodes' ids.
	// It is how a user without privileges writes files of other ids.
	Enter Enter
	// Progress is told what is going on, a line at a time, with the time it
	// has taken so far. It may be nil.
	Progress func(line string)
}

// IDMap is one range of user and group ids, as in /proc/PID/uid_map.
type IDMap struct {
	Inside, Outside, Count uint32
}

// Enter runs this binary again inside a user namespace, as uid 0 there, with
// argv[0] and the arguments given, and returns when it has ended. The error of
// a program that failed carries what it wrote to its standard error.
type Enter func(ctx context.Context, argv0 string, args []string, stdin io.Reader) error

// Root is a root file system that is ready to be the lower layer of a node.
// It must not be written to.
type Root struct {
	Dir      string            // the root itself
	Release  string            // "Debian GNU/Linux 13 (trixie), 13.5"
	SHA256   string            // of the tarball it came from, hex; of the listing, when it came from a folder
	Source   string            // the site's folder or tarball; "" is the built-in one
	Packages map[string]string // name → version, of the packages that a lab's facts name
	// Borrowed are folders of this machine that a node needs under the same
	// path, such as /usr; Dir has empty ones in their place. Only a composed
	// root has any. They are to be an overlay's lower layer or bound read-only.
	Borrowed []string
	// Weaker says what a composed root weakens, a sentence each.
	Weaker []string
}

// String is the root as a report names it.
func (r Root) String() string {
	digest := r.SHA256
	if len(digest) > 12 {
		digest = digest[:12]
	}
	if len(r.Borrowed) > 0 {
		return fmt.Sprintf("composed of this machine's %s (%s)", strings.Join(r.Borrowed, ", "), r.Release)
	}
	if r.Source != "" {
		return fmt.Sprintf("%s, sha256:%s, from %s", r.Release, digest, r.Source)
	}
	return fmt.Sprintf("%s, sha256:%s", r.Release, digest)
}

// DefaultCache is /var/cache/pbsdrill for root and $XDG_CACHE_HOME/pbsdrill
// for everybody else.
func DefaultCache() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/pbsdrill", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w; set XDG_CACHE_HOME", err)
	}
	return filepath.Join(dir, "pbsdrill"), nil
}

// outside is the machine's id of a node's id. No maps at all means that the
// process is already inside, where both are the same.
func outside(ids []IDMap, inside int) (int, error) {
	if len(ids) == 0 {
		return inside, nil
	}
	if single(ids) {
		return int(ids[0].Outside), nil
	}
	for _, m := range ids {
		if n := inside - int(m.Inside); n >= 0 && n < int(m.Count) {
			return int(m.Outside) + n, nil
		}
	}
	return 0, fmt.Errorf("id %d is outside the ids that a node has", inside)
}

// single tells whether there is one id only: then files are given to nobody
// but the caller and the group that the caller has now, whatever its number.
func single(ids []IDMap) bool { return len(ids) == 1 && ids[0].Count == 1 }

// owners names who the files of a root belong to.
func owners(ids []IDMap) string {
	if single(ids) {
		return fmt.Sprint(ids, os.Getegid())
	}
	return fmt.Sprint(ids)
}

// inside is the reverse of outside; an id that no map knows is the machine's
// own and becomes root, as does the kernel's overflow id.
func inside(ids []IDMap, id int) int {
	for _, m := range ids {
		if n := id - int(m.Outside); n >= 0 && n < int(m.Count) {
			return int(m.Inside) + n
		}
	}
	if len(ids) == 0 && id != overflowID {
		return id
	}
	return 0
}

// overflowID is what the kernel shows for an owner that a user namespace does
// not map (/proc/sys/kernel/overflowuid).
const overflowID = 65534
