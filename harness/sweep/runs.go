package sweep

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// Runs is the folder of runs.
type Runs struct {
	Dir   string
	Since time.Time // what was last written before is nobody's any more: when the machine came up
}

// Find finds the locks and half-written files of runs that never ended. The
// evidence itself stays.
func (r Runs) Find() ([]Remains, error) {
	heads, err := filepath.Glob(filepath.Join(r.Dir, "*", "run.json"))
	if err != nil {
		return nil, err
	}
	var found []Remains
	for _, head := range heads {
		dir := filepath.Dir(head)
		run, _, err := evidence.Read(dir)
		if err != nil || !run.Ended.IsZero() {
			continue // not ours to judge, or whole
		}
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), ".") {
				return err
			}
			info, err := e.Info()
			if err != nil || !info.ModTime().Before(r.Since) {
				return err
			}
			found = append(found, Remains{Kind: "run", What: path, Why: "its run never ended, and the machine was started since",
				remove: func(context.Context) error { return os.Remove(path) }})
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return found, nil
}
