package match

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/pbsdrill/pbsdrill/harness/flow"
)

// BeOpen holds for a probe that the right service answered.
func BeOpen() types.GomegaMatcher { return BeSeenAs(flow.Open) }

// BeClosed holds for a probe that was refused, dropped or unreachable.
func BeClosed() types.GomegaMatcher {
	return BeSeenAs(flow.Refused, flow.Dropped, flow.Unreachable)
}

// BeSeenAs holds for a probe with one of the verdicts.
func BeSeenAs(verdicts ...flow.Verdict) types.GomegaMatcher {
	words := make([]string, len(verdicts))
	for i, v := range verdicts {
		words[i] = string(v)
	}
	return matcher{
		expected: strings.Join(words, " or "),
		holds:    func(p flow.Probe) bool { return slices.Contains(verdicts, p.Saw) },
	}
}

// Keep holds for a probe that keeps what its row of the matrix promises.
func Keep(row flow.Row) types.GomegaMatcher {
	return matcher{
		expected: string(row.Want),
		holds:    func(p flow.Probe) bool { return row.Want.Met(p.Saw) },
		misfit: func(p flow.Probe) error {
			if p.Flow.String() != row.Flow.String() {
				return fmt.Errorf("the probe is of another flow: %s, and the row of %s", p.Flow, row.Flow)
			}
			return nil
		},
	}
}

type matcher struct {
	expected string
	holds    func(flow.Probe) bool
	misfit   func(flow.Probe) error // why the question makes no sense
}

// Match gives an error for what can't be told, so that neither To nor NotTo is
// satisfied.
func (m matcher) Match(actual any) (bool, error) {
	p, ok := actual.(flow.Probe)
	if !ok {
		return false, fmt.Errorf("a verdict is expected of a flow.Probe, not of a %T", actual)
	}
	if m.misfit != nil {
		if err := m.misfit(p); err != nil {
			return false, err
		}
	}
	switch p.Saw {
	case flow.Open, flow.Refused, flow.Dropped, flow.Unreachable, flow.WrongService:
		return m.holds(p), nil
	case flow.Unknown:
		return false, fmt.Errorf("%s could not be told: %s%s", p.Flow, p.Why, witnesses(p))
	}
	return false, fmt.Errorf("%s has no verdict: %q", p.Flow, p.Saw)
}

func (m matcher) FailureMessage(actual any) string { return m.message(actual, m.expected) }

func (m matcher) NegatedFailureMessage(actual any) string {
	return m.message(actual, "anything but "+m.expected)
}

func (m matcher) message(actual any, expected string) string {
	p, ok := actual.(flow.Probe)
	if !ok {
		return fmt.Sprintf("%T is no flow.Probe", actual)
	}
	lines := []string{
		fmt.Sprintf("flow      %s", p.Flow),
		fmt.Sprintf("expected  %s", expected),
		fmt.Sprintf("seen      %s: %s", p.Saw, p.Why),
	}
	if p.Rule != nil {
		lines = append(lines, fmt.Sprintf("rule      %s (%s)", p.Rule, p.Rule.Text))
	}
	return strings.Join(lines, "\n") + witnesses(p)
}

func witnesses(p flow.Probe) string {
	if len(p.Witness) == 0 {
		return ""
	}
	return "\nwitness   " + strings.Join(p.Witness, "\n          ")
}
