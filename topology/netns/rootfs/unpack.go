package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// unpack writes a tarball below dir/root, prepares it, and lists what there is
// in dir/files. It never leaves dir: names and links that point out are errors.
// Extended attributes are left out, since nodes run their tools as root.
func unpack(ctx context.Context, dir string, r io.Reader, ids []IDMap) error {
	if err := os.Mkdir(dir+"/root", 0o755); err != nil {
		return fmt.Errorf("make the root: %w", err)
	}
	root, err := os.OpenRoot(dir + "/root")
	if err != nil {
		return fmt.Errorf("open the root: %w", err)
	}
	defer root.Close()
	u := unpacker{root: root, ids: ids}
	if err := u.all(ctx, tar.NewReader(r)); err != nil {
		return err
	}
	// The kernel's pipe may hold the tarball's padding still; whoever sends it
	// must not see a broken pipe.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read the tarball to its end: %w", err)
	}
	if err := prepare(root, ids); err != nil {
		return err
	}
	return list(dir)
}

type unpacker struct {
	root    *os.Root
	ids     []IDMap
	folders []*tar.Header // their times and modes are set last: entries change both
}

func (u *unpacker) all(ctx context.Context, t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return u.finishFolders()
		}
		if err != nil {
			return fmt.Errorf("read the tarball: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if name == "" {
			name = "."
		}
		if dropped(name) {
			continue
		}
		h.Name = name
		if err := u.entry(h, t); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	uid, err := outside(u.ids, h.Uid)
	if err != nil {
		return err
	}
	gid, err := outside(u.ids, h.Gid)
	if err != nil {
		return err
	}
	h.Uid, h.Gid = uid, gid
	if h.Typeflag == tar.TypeDir {
		return u.folder(h)
	}
	if err := u.parents(path.Dir(h.Name)); err != nil {
		return err
	}
	if err := u.root.Remove(h.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a tarball may hold a name twice: the last one counts
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(h, content)
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, h.Name); err != nil {
			return err
		}
		return u.own(h.Name, uid, gid)
	case tar.TypeLink:
		target := strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		if dropped(target) {
			return nil
		}
		return u.root.Link(target, h.Name)
	}
	return nil // device files, pipes: a node has the driver's
}

func (u *unpacker) folder(h *tar.Header) error {
	if err := u.parents(h.Name); err != nil {
		return err
	}
	u.folders = append(u.folders, h)
	return u.own(h.Name, h.Uid, h.Gid)
}

// parents makes a folder and those above it that no entry has made yet; they
// are the node's root's.
func (u *unpacker) parents(name string) error {
	if _, err := u.root.Stat(name); err == nil {
		return nil
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	id, err := outside(u.ids, 0)
	if err != nil {
		return err
	}
	return u.own(name, id, id)
}

func (u *unpacker) file(h *tar.Header, content io.Reader) error {
	f, err := u.root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	// The owner first: changing it clears the setuid bit.
	if err := u.own(h.Name, h.Uid, h.Gid); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(h.FileInfo().Mode()); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return u.root.Chtimes(h.Name, time.Time{}, h.ModTime)
}

func (u *unpacker) own(name string, uid, gid int) error { return own(u.root, u.ids, name, uid, gid) }

func own(root *os.Root, ids []IDMap, name string, uid, gid int) error {
	if single(ids) {
		uid, gid = -1, os.Getegid() // a folder with the set-group-id bit had passed on its own
	}
	return root.Lchown(name, uid, gid)
}

func (u *unpacker) finishFolders() error {
	for _, h := range u.folders {
		info, err := u.root.Lstat(h.Name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			continue // a later entry of the same name took its place
		}
		if err != nil {
			return err
		}
		if err := u.root.Chmod(h.Name, h.FileInfo().Mode()); err != nil {
			return fmt.Errorf("set the mode of %s: %w", h.Name, err)
		}
		if err := u.root.Chtimes(h.Name, time.Time{}, h.ModTime); err != nil {
			return fmt.Errorf("set the time of %s: %w", h.Name, err)
		}
	}
	return nil
}
