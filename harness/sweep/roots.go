package sweep

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Roots is the cache in which root file systems are made. Remove removes a
// folder of it, which may hold files of other ids.
type Roots struct {
	Cache  string
	Remove func(ctx context.Context, dir string) error
}

// Find finds what was being made when its maker died: whoever makes a root
// holds the cache's lock, and the kernel lets go of a dead one's.
func (r Roots) Find() ([]Remains, error) {
	names, err := filepath.Glob(filepath.Join(r.Cache, ".partial-*"))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if busy, err := locked(filepath.Join(r.Cache, "lock")); busy || err != nil {
		return nil, err
	}
	var found []Remains
	for _, name := range names {
		found = append(found, Remains{Kind: "root", What: name, Why: "half made, and nobody is making it",
			remove: func(ctx context.Context) error {
				if busy, err := locked(filepath.Join(r.Cache, "lock")); busy || err != nil {
					return errors.Join(err, errors.New(name+": somebody is making a root now"))
				}
				return r.Remove(ctx, name)
			}})
	}
	return found, nil
}

func locked(name string) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // lets go of the lock
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
