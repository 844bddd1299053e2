package doctor

import (
	"context"
	"testing"
)

func TestHereChangesNothingAndAnswers(t *testing.T) {
	r := Examine(context.Background(), Here(t.TempDir(), func() (string, error) { return "", nil }))
	for _, l := range r.Lines {
		t.Logf("%-8s %-18s %s | %s | %s", l.State, l.Name, l.Saw, l.Weakens, l.Mend)
	}
	if len(r.Lines) < 10 {
		t.Fatalf("only %d lines", len(r.Lines))
	}
}
