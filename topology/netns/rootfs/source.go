package rootfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// decompress tells a tarball's packing by its first bytes.
func decompress(name string, r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	head, _ := buffered.Peek(6)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(buffered), nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, fmt.Errorf("%s is packed with zstd, which is not read here: unpack it with `zstd -d`", name)
	case bytes.HasPrefix(head, []byte("\xfd7zXZ")):
		return nil, fmt.Errorf("%s is packed with xz, which is not read here: unpack it with `xz -d`", name)
	}
	return buffered, nil
}

// fingerprint is the content hash of a tarball. For a folder it is the hash of
// its listing (names, sizes, owners, modes, times), since nothing else is quick
// enough to be done for every lab.
func fingerprint(ctx context.Context, source string) (string, error) {
	info, err := os.Stat(source)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if !info.IsDir() {
		f, err := os.Open(source)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	err = filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		uid, gid := owner(info)
		fmt.Fprintf(h, "%s %d %d %d %o %d\n", name, info.Size(), uid, gid, info.Mode(), info.ModTime().UnixNano())
		return ctx.Err()
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func owner(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return 0, 0
}

// copyFolder takes a folder as if it were a tarball. Owners that the ids do
// not know become root.
func copyFolder(ctx context.Context, source, dir string, ids []IDMap) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(ctx, source, w, ids)) }()
	err := unpack(ctx, dir, r, ids)
	r.CloseWithError(err)
	return err
}

func pack(ctx context.Context, source string, w io.Writer, ids []IDMap) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		if dropped(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return packEntry(t, name, rel, d, ids)
	})
	if err != nil {
		return fmt.Errorf("copy %s: %w", source, err)
	}
	return t.Close()
}

func packEntry(t *tar.Writer, name, rel string, d fs.DirEntry, ids []IDMap) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if !info.IsDir() && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	uid, gid := owner(info)
	h.Name, h.Uid, h.Gid = rel, inside(ids, uid), inside(ids, gid)
	h.Uname, h.Gname = "", ""
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}
