package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// Read reads a run's folder, whether the run has ended, goes on or was killed:
// its head and its specs, sorted by suite and number.
func Read(dir string) (Run, []Spec, error) {
	run, err := readHead(dir)
	if err != nil {
		return Run{}, nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, recordsDir, "*.jsonl"))
	if err != nil {
		return Run{}, nil, fmt.Errorf("read run %s: %w", dir, err)
	}
	specs := map[string]Spec{}
	for _, file := range files {
		if err := readRecords(file, specs); err != nil {
			return Run{}, nil, err
		}
	}
	return run, sorted(specs), nil
}

func readHead(dir string) (Run, error) {
	text, err := os.ReadFile(filepath.Join(dir, headFile))
	if err != nil {
		return Run{}, fmt.Errorf("read the run's head: %w", err)
	}
	var run Run
	if err := json.Unmarshal(text, &run); err != nil {
		return Run{}, fmt.Errorf("read the run's head %s: %w", filepath.Join(dir, headFile), err)
	}
	if run.Version > Version {
		return Run{}, fmt.Errorf("read the run's head %s: version %d is newer than this pbsdrill, which knows %d", filepath.Join(dir, headFile), run.Version, Version)
	}
	return run, nil
}

// readRecords takes the last record of each spec. A last line without its end
// is what a killed writer or a full disk left: it is no record.
func readRecords(file string, specs map[string]Spec) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return nil
		}
		var spec Spec
		if err := json.Unmarshal(line, &spec); err != nil {
			spec = Spec{
				Suite: filepath.Base(file), Number: n, Name: "a record that cannot be read", State: CouldNotTest,
				Reason: fmt.Sprintf("%s:%d: %v", file, n, err),
			}
		}
		specs[fmt.Sprintf("%s/%d", spec.Suite, spec.Number)] = spec
		text = rest
	}
}

func sorted(specs map[string]Spec) []Spec {
	all := make([]Spec, 0, len(specs))
	for _, spec := range specs {
		all = append(all, spec)
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Suite != all[j].Suite {
			return all[i].Suite < all[j].Suite
		}
		return all[i].Number < all[j].Number
	})
	return all
}
