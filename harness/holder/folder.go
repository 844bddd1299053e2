package holder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Folder is where the holders of this user are found.
type Folder struct {
	Dir string
}

// Default is $XDG_RUNTIME_DIR/pbsdrill, else /run/user/UID/pbsdrill, else
// /tmp/pbsdrill-UID.
func Default() Folder {
	candidates := []string{os.Getenv("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", os.Getuid())}
	for _, dir := range candidates {
		if dir != "" && private(dir) == nil {
			return Folder{filepath.Join(dir, "pbsdrill")}
		}
	}
	return Folder{fmt.Sprintf("/tmp/pbsdrill-%d", os.Getuid())}
}

// private says whether a folder is this user's, and nobody else may enter it:
// who can write to a holder's socket is root in its lab.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !ok || int(owner.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to somebody else", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %04o); chmod 0700 it", dir, info.Mode().Perm())
	}
	return nil
}

// make makes the folder, and refuses one that others could have prepared.
func (f Folder) make() error {
	if err := os.Mkdir(f.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the labs' folder: %w", err)
	}
	if err := private(f.Dir); err != nil {
		return fmt.Errorf("use the labs' folder: %w", err)
	}
	return nil
}

func (f Folder) state(id string) string  { return filepath.Join(f.Dir, id+".json") }
func (f Folder) socket(id string) string { return filepath.Join(f.Dir, id+".sock") }
