package netns

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pbsdrill/pbsdrill/topology"
)

// entry is one file that a node gets before it boots.
type entry struct {
	path         string
	content      []byte
	target       string // of a link
	mode         fs.FileMode
	owner, group string
}

// disk lists what is laid over a node's root: what the driver makes first, then
// the site's files, which win.
func disk(m *topology.Machine, s *secrets) ([]entry, error) {
	made, err := provisioned(m, s)
	if err != nil {
		return nil, err
	}
	all := made
	for _, f := range m.Files {
		e := entry{path: f.Path, target: f.Target, mode: f.Mode, owner: f.Owner, group: f.Group}
		if f.Mode.IsRegular() {
			raw, err := os.ReadFile(f.Source)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", f.At, err)
			}
			if e.content, err = topology.Fill(raw, s.value); err != nil {
				return nil, fmt.Errorf("fill %s: %w", f.At, err)
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// provisioned is what a host has made for itself when it was installed: its
// SSH identity and, on a backup server, its certificate.
func provisioned(m *topology.Machine, s *secrets) ([]entry, error) {
	private, public, err := s.hostKey(m.Name)
	if err != nil {
		return nil, err
	}
	all := []entry{
		{path: "/etc/ssh/ssh_host_ed25519_key", content: []byte(private), mode: 0o600, owner: "root", group: "root"},
		{path: "/etc/ssh/ssh_host_ed25519_key.pub", content: []byte(public), mode: 0o644, owner: "root", group: "root"},
	}
	if m.Role != topology.RoleBackupServer {
		return all, nil
	}
	if _, ok := s.value("pbs." + m.Name + ".fingerprint"); !ok {
		return nil, s.err
	}
	certificate, _ := s.value("pbs." + m.Name + ".certificate")
	key, _ := s.value("pbs." + m.Name + ".key")
	return append(all,
		entry{path: "/etc/proxmox-backup", mode: fs.ModeDir | 0o700, owner: "backup", group: "backup"},
		entry{path: "/etc/proxmox-backup/proxy.pem", content: []byte(certificate), mode: 0o640, owner: "root", group: "backup"},
		entry{path: "/etc/proxmox-backup/proxy.key", content: []byte(key), mode: 0o640, owner: "root", group: "backup"},
	), nil
}

// stream writes the entries as the tar that an agent unpacks.
func stream(w io.Writer, entries []entry) error {
	out := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{
			Name: path.Clean(e.path), Mode: int64(e.mode.Perm()), Size: int64(len(e.content)),
			Uname: e.owner, Gname: e.group, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		switch {
		case e.mode.IsDir():
			h.Typeflag, h.Size = tar.TypeDir, 0
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.target, 0
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("send %s: %w", e.path, err)
		}
		if h.Size > 0 {
			if _, err := io.Copy(out, bytes.NewReader(e.content)); err != nil {
				return fmt.Errorf("send %s: %w", e.path, err)
			}
		}
	}
	return out.Close()
}
