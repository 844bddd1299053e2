package sweep

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Remains is one thing that was left behind.
type Remains struct {
	Kind string `json:"kind"` // lab, root, run, process
	What string `json:"what"` // a path, or a process
	Why  string `json:"why"`  // how it is known to be ours and of no use

	remove func(context.Context) error
}

// Remove removes it.
func (r Remains) Remove(ctx context.Context) error { return r.remove(ctx) }

// Find looks in all places. What it can't look into comes as an error beside
// what was found.
func Find(places ...Place) ([]Remains, error) {
	var all []Remains
	var errs []error
	for _, p := range places {
		found, err := p.Find()
		all = append(all, found...)
		errs = append(errs, err)
	}
	slices.SortStableFunc(all, func(a, b Remains) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
	})
	return all, errors.Join(errs...)
}

// Place is where something may have been left.
type Place interface {
	Find() ([]Remains, error)
}
