package evidence

import (
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 22, 1, 30, 12, 0, time.UTC)

func whole() Run {
	return Run{Ended: today, Minimum: map[string]int{"firewall": 2}, Planned: 1, Waivers: []Waiver{asPublished()}}
}

func asPublished() Waiver {
	return Waiver{
		Promise: "reach", Flows: []string{"stranger -> vps over internet pbs ipv6"}, Seen: "open",
		Cause: "rules.v6 is empty", Because: "as published", Until: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC),
	}
}

func waivedFinding() Finding {
	return Finding{Promise: "reach", Flow: "stranger -> vps over internet pbs ipv6", Seen: "open", Cause: "rules.v6 is empty"}
}

func spec(state State) Spec {
	return Spec{Suite: "firewall", Number: 1, Name: "a spec", State: state, Judged: 2}
}

func with(s Spec, change func(*Spec)) Spec {
	change(&s)
	return s
}

func TestConclude(t *testing.T) {
	fails := with(spec(Failed), func(s *Spec) { s.Findings = []Finding{{Promise: "reach", Flow: "a -> b", Seen: "open"}} })
	waived := with(spec(Waived), func(s *Spec) { s.Findings = []Finding{waivedFinding()} })
	for name, c := range map[string]struct {
		run   func(*Run)
		specs []Spec
		now   time.Time
		want  Code
		says  string
	}{
		"held":                                {specs: []Spec{spec(Held)}, want: CodeHeld},
		"failed":                              {specs: []Spec{fails}, want: CodeFailed, says: "1 promise does not hold"},
		"waived":                              {specs: []Spec{waived}, want: CodeHeld},
		"a waiver that has expired":           {specs: []Spec{waived}, now: today.AddDate(1, 0, 0), want: CodeFailed, says: "expired on 2027-06-30"},
		"held, its finding says otherwise":    {specs: []Spec{with(fails, func(s *Spec) { s.State = Held })}, want: CodeFailed},
		"held, its row is unknown":            {specs: []Spec{with(spec(Held), func(s *Spec) { s.Rows = []Row{{Saw: "unknown"}} })}, want: CodeCouldNotTest},
		"held, its row is not met":            {specs: []Spec{with(spec(Held), func(s *Spec) { s.Rows = []Row{{Saw: "open"}} })}, want: CodeFailed},
		"waived without a finding":            {specs: []Spec{spec(Waived)}, want: CodeCouldNotTest},
		"could not test":                      {specs: []Spec{spec(CouldNotTest)}, want: CodeCouldNotTest, says: "1 spec could not test"},
		"a state that nobody knows":           {specs: []Spec{spec("splendid")}, want: CodeCouldNotTest},
		"failed and could not test":           {specs: []Spec{fails, spec(CouldNotTest)}, want: CodeFailed, says: "could not test"},
		"too little judged":                   {run: func(r *Run) { r.Minimum["firewall"] = 3 }, specs: []Spec{spec(Held)}, want: CodeCouldNotTest, says: "judged 2 flows; at least 3"},
		"a suite that never came":             {run: func(r *Run) { r.Minimum["tunnel"] = 1 }, specs: []Spec{spec(Held)}, want: CodeCouldNotTest, says: "tunnel judged 0 flows"},
		"nothing at all":                      {want: CodeCouldNotTest, says: "no spec ran", run: func(r *Run) { r.Planned, r.Minimum = 0, nil }},
		"a filter that matches nothing":       {specs: []Spec{with(spec(Skipped), func(s *Spec) { s.Reason = FilteredOut })}, run: func(r *Run) { r.Filter, r.Planned = "slow", 0 }, want: CodeCouldNotTest, says: "no spec matches the filter slow"},
		"all skipped":                         {specs: []Spec{with(spec(Skipped), func(s *Spec) { s.Judged = 2 })}, want: CodeCouldNotTest, says: "no spec ran"},
		"a spec is missing":                   {run: func(r *Run) { r.Planned = 3 }, specs: []Spec{spec(Held)}, want: CodeCouldNotTest, says: "2 specs were to run"},
		"trouble of a suite":                  {run: func(r *Run) { r.Trouble = []string{"no lab"} }, specs: []Spec{spec(Held)}, want: CodeCouldNotTest, says: "no lab"},
		"interrupted":                         {run: func(r *Run) { r.Interrupted = true }, specs: []Spec{spec(Held)}, want: CodeInterrupted},
		"interrupted after a failure":         {run: func(r *Run) { r.Interrupted = true }, specs: []Spec{fails}, want: CodeInterrupted, says: "1 promise does not hold"},
		"killed":                              {run: func(r *Run) { r.Ended = time.Time{} }, specs: []Spec{spec(Held)}, want: CodeInterrupted},
		"a spec that did not end":             {specs: []Spec{spec(Held), spec(Interrupted)}, want: CodeInterrupted},
		"skipped beside one that held":        {specs: []Spec{spec(Held), with(spec(Skipped), func(s *Spec) { s.Reason = "no netem" })}, want: CodeHeld},
		"held although it was waived":         {specs: []Spec{with(spec(Held), func(s *Spec) { s.Rows = []Row{judgedRow()} })}, want: CodeFailed, says: "the promise holds now"},
		"its waiver was filtered out":         {specs: []Spec{spec(Held), with(spec(Skipped), func(s *Spec) { s.Promise = "reach" })}, want: CodeHeld},
		"its waiver's flow could not be told": {specs: []Spec{with(spec(CouldNotTest), func(s *Spec) { s.Rows = []Row{with2(judgedRow(), "unknown")} })}, want: CodeCouldNotTest},
	} {
		t.Run(name, func(t *testing.T) {
			run := whole()
			if c.run != nil {
				c.run(&run)
			}
			now := c.now
			if now.IsZero() {
				now = today
			}
			o := Conclude(run, c.specs, now)
			if o.Code != c.want {
				t.Errorf("code %d (%s), want %d; reasons: %q", o.Code, o.Word, c.want, o.Reasons)
			}
			if got := strings.Join(o.Reasons, "; "); !strings.Contains(got, c.says) {
				t.Errorf("reasons %q do not say %q", got, c.says)
			}
			if o.Code != CodeHeld && len(o.Reasons) == 0 {
				t.Error("a run that did not hold gives no reason")
			}
		})
	}
}

func judgedRow() Row {
	return Row{Promise: "reach", From: "stranger", To: "vps", Over: "internet", Service: "pbs", Family: "ipv6", Saw: "dropped", Met: true}
}

func with2(r Row, saw string) Row {
	r.Saw = saw
	return r
}

func TestAFlowThatIsJudgedTwiceCountsOnce(t *testing.T) {
	other := judgedRow()
	other.Family = "ipv4"
	specs := []Spec{
		{Suite: "firewall", State: Held, Judged: 2, Rows: []Row{judgedRow(), other}},
		{Suite: "firewall", State: Held, Judged: 3, Rows: []Row{judgedRow(), with2(other, "unknown")}},
		{Suite: "tunnel", State: Held, Judged: 1, Rows: []Row{judgedRow()}},
	}
	if got := JudgedFlows(specs); got["firewall"] != 4 || got["tunnel"] != 1 {
		t.Errorf("judged %v, want the two rows and the two flows that are none, and one", got)
	}
}
