package netns

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

type openRequest struct {
	Path  string      `json:"path"`
	Flags int         `json:"flags"`
	Mode  os.FileMode `json:"mode"`
}

func (a *agent) open(r *wire.Request) error {
	var q openRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	if q.Flags&os.O_CREATE != 0 {
		if err := os.MkdirAll(filepath.Dir(q.Path), 0o755); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(q.Path, q.Flags, q.Mode)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if q.Flags&os.O_CREATE != 0 {
		if err := f.Chmod(q.Mode); err != nil { // past the umask
			return err
		}
	}
	return r.Reply(nil, f)
}

type renameRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (a *agent) rename(r *wire.Request) error {
	var q renameRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	if err := os.Rename(q.From, q.To); err != nil {
		return err
	}
	return r.Reply(nil)
}

func (a *agent) remove(r *wire.Request) error {
	var path string
	if err := r.Decode(&path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return r.Reply(nil)
}

// unpackRequest comes with a tar stream whose owners are names of the node's
// own /etc/passwd and /etc/group.
type unpackRequest struct {
	Single bool `json:"single"` // there is one id: owners are not kept
}

// owners turns the names of a node's users and groups into ids. Nil ones keep
// whatever owner a file was born with.
type owners struct{ users, groups map[string]int }

// unpack lays the site's files over the node's root.
func (a *agent) unpack(r *wire.Request) error {
	var q unpackRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	if len(r.Files) != 1 {
		return fmt.Errorf("unpack: %d streams instead of 1", len(r.Files))
	}
	var names *owners
	if !q.Single {
		var err error
		if names, err = nodeOwners(); err != nil {
			return err
		}
	}
	in := tar.NewReader(bufio.NewReaderSize(r.Files[0], 64<<10))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return r.Reply(nil)
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := place(h, in, names); err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

// place puts one entry where it belongs. The stream comes from the loader,
// which has refused everything that is neither file, folder nor link.
func place(h *tar.Header, content io.Reader, names *owners) error {
	path := filepath.Join("/", h.Name)
	mode := os.FileMode(h.Mode) & os.ModePerm
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.MkdirAll(path, mode); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(h.Linkname, path); err != nil {
			return err
		}
		return names.give(path, h.Uname, h.Gname)
	default:
		if err := writeFresh(path, content, mode); err != nil {
			return err
		}
	}
	if err := names.give(path, h.Uname, h.Gname); err != nil {
		return err
	}
	return os.Chmod(path, mode) // after chown, which may clear bits, and past the umask
}

func nodeOwners() (*owners, error) {
	users, err := nameIDs("/etc/passwd")
	if err != nil {
		return nil, err
	}
	groups, err := nameIDs("/etc/group")
	if err != nil {
		return nil, err
	}
	return &owners{users, groups}, nil
}

func (o *owners) give(path, user, group string) error {
	if o == nil {
		return nil
	}
	uid, ok := o.users[user]
	if !ok {
		return fmt.Errorf("the node has no user %q", user)
	}
	gid, ok := o.groups[group]
	if !ok {
		return fmt.Errorf("the node has no group %q", group)
	}
	return os.Lchown(path, uid, gid)
}

// writeFresh writes a file that is not the root's own one any more: a link in
// its place is replaced, not followed.
func writeFresh(path string, content io.Reader, mode os.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// nameIDs reads the names of passwd(5) or group(5): the third field is the id
// in both.
func nameIDs(path string) (map[string]int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the node's names: %w", err)
	}
	ids := map[string]int{}
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 {
			continue
		}
		if id, err := strconv.Atoi(fields[2]); err == nil {
			ids[fields[0]] = id
		}
	}
	return ids, nil
}
