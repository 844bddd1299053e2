package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const temporaryPrefix = "pbsdrill-list-"

// TemporaryName is what a process calls a folder of its own for a while, as
// os.MkdirTemp takes it.
func TemporaryName(pid int) string { return fmt.Sprintf("%s%d-*", temporaryPrefix, pid) }

// Temporary is the machine's folder for what lasts a while.
type Temporary struct {
	Dir string
	UID int // whose folders count
}

// Find finds folders of processes that are gone.
func (p Temporary) Find() ([]Remains, error) {
	dirs, err := filepath.Glob(filepath.Join(p.Dir, temporaryPrefix+"*"))
	if err != nil {
		return nil, err
	}
	var found []Remains
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), temporaryPrefix), "-")
		if !ended(number) || !p.own(dir) {
			continue
		}
		found = append(found, Remains{Kind: "folder", What: dir, Why: "made for a list of specs, and that has ended",
			remove: func(context.Context) error { return os.RemoveAll(dir) }})
	}
	return found, nil
}

// own says whether it is a folder, and not a link of somebody's to one.
func (p Temporary) own(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == p.UID
}

// ended says whether there is no process of that number.
func ended(number string) bool {
	pid, err := strconv.Atoi(number)
	// EPERM is a process of somebody else's: it is there
	return err == nil && pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
