package topology

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// wayOut ends a message about an unknown word: with the known word that it
// most likely stands for, else with all of them.
func wayOut(word string, known []string) string {
	if best, ok := nearest(word, known); ok {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	return "; known: " + strings.Join(known, ", ")
}

// nearest finds the known word within a third of the word's length, so that
// "wan2" suggests "wan" and "x" suggests nothing.
func nearest(word string, known []string) (string, bool) {
	// A longer word than any name is no slip, and comparing it takes quadratic time.
	if len(word) > 100 {
		return "", false
	}
	best, distance := "", max(1, len(word)/3)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := slips(strings.ToLower(word), k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	return best, best != ""
}

// slips counts the slips of the pen between two words. Letters that changed
// places are one slip, though two edits.
func slips(a, b string) int {
	d := levenshtein.ComputeDistance(a, b)
	if d == 2 && len(a) == len(b) && letters(a) == letters(b) {
		return 1
	}
	return d
}

func letters(s string) string {
	sorted := []byte(s)
	slices.Sort(sorted)
	return string(sorted)
}
