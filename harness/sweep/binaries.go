package sweep

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	binaryPrefix = "pbsdrill-"
	binarySuffix = ".test"
)

// BinaryName is what a process calls the suites that it builds for one run.
func BinaryName(pid int) string { return fmt.Sprintf("%s%d%s", binaryPrefix, pid, binarySuffix) }

// Binaries is the folder of the suites, in which drills build them.
type Binaries struct {
	Suites string
}

// Find finds suites that were built by a process that is gone.
func (b Binaries) Find() ([]Remains, error) {
	files, err := filepath.Glob(filepath.Join(b.Suites, "*", binaryPrefix+"*"+binarySuffix))
	if err != nil {
		return nil, err
	}
	var found []Remains
	for _, file := range files {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), binaryPrefix), binarySuffix)
		if !ended(number) {
			continue
		}
		found = append(found, Remains{Kind: "suite", What: file, Why: "built for one run, and that has ended",
			remove: func(context.Context) error { return os.Remove(file) }})
	}
	return found, nil
}
