package sweep

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Processes is a /proc to look for lab processes in.
type Processes struct {
	Proc string // "/proc"
	Kill func(pid int, s syscall.Signal) error
}

// supervisor is the process that holds a lab: with it, everything in the lab
// ends. Others of a lab need no sweeping.
const supervisor = "pbsdrill-lab"

// mark is what a run gives its labs: a word, a dash, and what makes it one of
// its kind.
var mark = regexp.MustCompile(`^[a-z]+-[0-9a-zA-Z._-]+$`)

// Find finds labs whose owner is gone: it was the same program, and is the
// parent of the lab's first process for as long as it lives.
func (p Processes) Find() ([]Remains, error) {
	dirs, err := filepath.Glob(filepath.Join(p.Proc, "[0-9]*"))
	if err != nil {
		return nil, err
	}
	var found []Remains
	for _, dir := range dirs {
		argv := p.argv(dir)
		if len(argv) != 3 || argv[0] != supervisor || !mark.MatchString(argv[2]) || p.owned(dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		found = append(found, Remains{Kind: "process", What: fmt.Sprintf("%d %s", pid, strings.Join(argv, " ")),
			Why: "the lab's owner is gone",
			remove: func(context.Context) error {
				if !slices.Equal(p.argv(dir), argv) || p.owned(dir) {
					return nil // it ended meanwhile, and the number is another process's
				}
				return p.Kill(pid, syscall.SIGKILL)
			}})
	}
	return found, nil
}

func (p Processes) argv(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || len(text) == 0 {
		return nil // ended, or the kernel's own
	}
	var argv []string
	for _, word := range bytes.Split(bytes.TrimSuffix(text, []byte{0}), []byte{0}) {
		argv = append(argv, string(word))
	}
	return argv
}

// owned says whether the parent runs the same program. When it can't be told,
// the process is somebody's.
func (p Processes) owned(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return true
	}
	parent := ""
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent = strings.TrimSpace(value)
		}
	}
	if parent == "1" || parent == "0" {
		return false
	}
	own, err1 := os.Stat(filepath.Join(dir, "exe"))
	theirs, err2 := os.Stat(filepath.Join(p.Proc, parent, "exe"))
	if err1 != nil || err2 != nil {
		return true
	}
	return os.SameFile(own, theirs)
}
