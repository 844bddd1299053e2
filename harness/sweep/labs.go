package sweep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/harness/holder"
)

// Labs is the folder in which holders write down their labs.
type Labs struct {
	Folder holder.Folder
}

// Find finds labs whose holder is gone, and files without a lab.
func (l Labs) Find() ([]Remains, error) {
	states, err := l.Folder.List()
	var found []Remains
	var known []string
	for _, s := range states {
		known = append(known, s.ID)
		if s.Alive() {
			continue
		}
		found = append(found, Remains{Kind: "lab", What: filepath.Join(l.Folder.Dir, s.ID+".json"),
			Why:    "the holder of this lab of " + s.Site + " is gone",
			remove: func(context.Context) error { return l.Folder.Forget(s) }})
	}
	if err != nil {
		return found, err
	}
	entries, err := os.ReadDir(l.Folder.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if slices.Contains(known, id) || !ours(e.Name()) {
			continue
		}
		path := filepath.Join(l.Folder.Dir, e.Name())
		found = append(found, Remains{Kind: "lab", What: path, Why: "no lab of this id is written down",
			remove: func(context.Context) error { return os.Remove(path) }})
	}
	return found, nil
}

// ours says whether a name is one that a holder gives: six hex digits.
func ours(name string) bool {
	id, rest, _ := strings.Cut(name, ".")
	if len(id) != 6 || strings.Trim(id, "0123456789abcdef") != "" {
		return false
	}
	return rest == "sock" || rest == "json" || rest == "json.part"
}
