package match_test

import (
	"strings"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/harness/match"
)

var verdicts = []flow.Verdict{flow.Open, flow.Refused, flow.Dropped, flow.Unreachable, flow.WrongService}

func rowOf(want flow.Want) flow.Row { return flow.Row{Want: want} }

// A matcher that always agrees, or never, differs from this table.
func TestWhatEachMatcherHoldsFor(t *testing.T) {
	for name, c := range map[string]struct {
		matcher types.GomegaMatcher
		holds   []flow.Verdict
	}{
		"BeOpen":            {match.BeOpen(), []flow.Verdict{flow.Open}},
		"BeClosed":          {match.BeClosed(), []flow.Verdict{flow.Refused, flow.Dropped, flow.Unreachable}},
		"BeSeenAs dropped":  {match.BeSeenAs(flow.Dropped), []flow.Verdict{flow.Dropped}},
		"BeSeenAs nothing":  {match.BeSeenAs(), nil},
		"Keep open":         {match.Keep(rowOf(flow.WantOpen)), []flow.Verdict{flow.Open}},
		"Keep closed":       {match.Keep(rowOf(flow.WantClosed)), []flow.Verdict{flow.Refused, flow.Dropped, flow.Unreachable}},
		"Keep silent":       {match.Keep(rowOf(flow.WantSilent)), []flow.Verdict{flow.Dropped, flow.Unreachable}},
		"Keep nothing sane": {match.Keep(rowOf("")), nil},
	} {
		for _, v := range verdicts {
			want := false
			for _, h := range c.holds {
				want = want || h == v
			}
			got, err := c.matcher.Match(flow.Probe{Saw: v})
			if err != nil || got != want {
				t.Errorf("%s of %s: %t, %v", name, v, got, err)
			}
		}
	}
}

func TestUnknownSatisfiesNothing(t *testing.T) {
	for _, m := range []types.GomegaMatcher{match.BeOpen(), match.BeClosed(), match.BeSeenAs(flow.Unknown), match.Keep(rowOf(flow.WantClosed))} {
		for _, v := range []flow.Verdict{flow.Unknown, ""} {
			// An error fails To and NotTo alike.
			if ok, err := m.Match(flow.Probe{Saw: v, Why: "the trace is blind"}); ok || err == nil {
				t.Errorf("%q: %t, %v", v, ok, err)
			}
		}
	}
}

func TestAQuestionOfSomethingElseIsAnError(t *testing.T) {
	if _, err := match.BeOpen().Match("open"); err == nil {
		t.Error("a string has a verdict")
	}
	other := flow.Probe{Saw: flow.Open, Flow: flow.Flow{From: "a", To: "b"}}
	if _, err := match.Keep(rowOf(flow.WantOpen)).Match(other); err == nil || !strings.Contains(err.Error(), "another flow") {
		t.Errorf("got %v", err)
	}
}

func TestFailureMessage(t *testing.T) {
	p := flow.Probe{Saw: flow.Dropped, Why: "SYN arrived at vps, no answer", Witness: []string{"arrived at vps eth0"},
		Rule: &filter.Rule{Node: "vps", File: "/etc/iptables/rules.v4", Line: 12, Text: "-A INPUT -j DROP"}}
	got := match.BeOpen().FailureMessage(p)
	for _, part := range []string{"expected  open", "seen      dropped: SYN arrived", "vps:/etc/iptables/rules.v4:12 (-A INPUT -j DROP)", "witness   arrived at vps eth0"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in:\n%s", part, got)
		}
	}
	if got := match.BeOpen().NegatedFailureMessage(p); !strings.Contains(got, "anything but open") {
		t.Error(got)
	}
}
