package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// timeline is when each spec ran, in lanes of specs that ran one after the
// other. Lengths are in the units of the drawing, which is 1000 wide.
type timeline struct {
	Bars   []bar
	Lanes  int
	Height int
	Ticks  []tick
}

type bar struct {
	X, Y, Width float64
	Spec        evidence.Spec
}

type tick struct {
	X    float64
	Text string
}

const laneHeight = 14

func newTimeline(r Report) timeline {
	whole := r.took()
	ran := slices.DeleteFunc(slices.Clone(r.Specs), func(s evidence.Spec) bool {
		return s.Started.IsZero() || s.State == evidence.Skipped
	})
	slices.SortStableFunc(ran, func(a, b evidence.Spec) int { return a.Started.Compare(b.Started) })
	if whole <= 0 || len(ran) == 0 {
		return timeline{}
	}
	scale := 1000 / whole.Seconds()
	var t timeline
	var ends []time.Time // of each lane
	for _, s := range ran {
		lane := slices.IndexFunc(ends, func(end time.Time) bool { return !end.After(s.Started) })
		if lane < 0 {
			lane = len(ends)
			ends = append(ends, time.Time{})
		}
		ends[lane] = s.Started.Add(s.Took)
		t.Bars = append(t.Bars, bar{
			X: s.Started.Sub(r.Run.Started).Seconds() * scale, Y: float64(lane * laneHeight),
			Width: max(1.5, s.Took.Seconds()*scale), Spec: s,
		})
	}
	t.Lanes = len(ends)
	t.Height = t.Lanes*laneHeight + 18
	for i := range 5 {
		t.Ticks = append(t.Ticks, tick{float64(i) * 250, fmt.Sprintf("%.3gs", whole.Seconds()*float64(i)/4)})
	}
	return t
}
