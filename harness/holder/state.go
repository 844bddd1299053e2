package holder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what a holder writes down about itself.
type State struct {
	ID      string    `json:"id"`
	Site    string    `json:"site"`
	Dir     string    `json:"dir"` // of the site
	Nodes   []string  `json:"nodes"`
	Started time.Time `json:"started"`
	PID     int       `json:"pid"`
	Born    uint64    `json:"born"` // the process's start in clock ticks since boot: a pid alone may be another process by now
	Mark    string    `json:"mark"` // of the lab's processes
}

// Alive says whether the holder still runs.
func (s State) Alive() bool {
	born, err := bornAt(s.PID)
	return err == nil && born == s.Born
}

// bornAt is when a process was started, in clock ticks since boot.
func bornAt(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return startOf(string(text))
}

// startOf is field 22 of /proc/PID/stat, see proc(5). The second field, the
// name in brackets, may itself hold spaces and brackets.
func startOf(stat string) (uint64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("a process's stat has only %d fields behind its name", len(fields))
	}
	born, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a process's start: %w", err)
	}
	return born, nil
}

// List is every lab that was written down, the oldest first, whether its
// holder is alive or not.
func (f Folder) List() ([]State, error) {
	if err := private(f.Dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("list the labs: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(f.Dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list the labs: %w", err)
	}
	var all []State
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just gone down
		}
		var s State
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			return nil, fmt.Errorf("list the labs: %s: %w", file, err)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b State) int { return a.Started.Compare(b.Started) })
	return all, nil
}

// Forget removes what a holder that is gone has left.
func (f Folder) Forget(s State) error {
	if s.Alive() {
		return fmt.Errorf("the lab %s is alive; pbsdrill lab down %s", s.ID, s.ID)
	}
	return f.remove(s.ID)
}

func (f Folder) remove(id string) error {
	var errs []error
	for _, file := range []string{f.socket(id), f.state(id)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	// the folder goes with the last lab; that others still stand is no error
	_ = os.Remove(f.Dir)
	return errors.Join(errs...)
}

func (f Folder) write(s State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	part := f.state(s.ID) + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write down the lab: %w", err)
	}
	if err := os.Rename(part, f.state(s.ID)); err != nil {
		return fmt.Errorf("write down the lab: %w", err)
	}
	return nil
}
