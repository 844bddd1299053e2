package evidence

import (
	"strings"
	"testing"
	"time"
)

func TestAFindingIsWaivedOnlyOnTheLetter(t *testing.T) {
	for name, change := range map[string]func(*Finding){
		"promise": func(f *Finding) { f.Promise = "silent" },
		"flow":    func(f *Finding) { f.Flow = "stranger -> vps over internet pbs ipv4" },
		"seen":    func(f *Finding) { f.Seen = "refused" },
		"cause":   func(f *Finding) { f.Cause = "rules.v6 is empty " },
	} {
		f := waivedFinding()
		if Waive(f, []Waiver{asPublished()}, today) == nil {
			t.Fatal("the finding itself is not waived")
		}
		change(&f)
		if Waive(f, []Waiver{asPublished()}, today) != nil {
			t.Errorf("another %s is waived too", name)
		}
	}
}

func TestAWaiverCountsThroughItsLastDay(t *testing.T) {
	lastMinute := time.Date(2027, 6, 30, 23, 59, 0, 0, time.UTC)
	if asPublished().Expired(lastMinute) {
		t.Error("expired on its last day")
	}
	if !asPublished().Expired(lastMinute.Add(time.Minute)) {
		t.Error("not expired on the day after")
	}
	inBerlin := lastMinute.In(time.FixedZone("CEST", 2*3600))
	if asPublished().Expired(inBerlin) {
		t.Error("the day is not UTC's")
	}
}

func TestApply(t *testing.T) {
	another := waivedFinding()
	another.Seen = "refused"
	judged := Spec{Suite: "firewall", State: Held, Promise: "reach", Rows: []Row{judgedRow()}}
	elsewhere := Spec{Suite: "firewall", State: Held, Promise: "reach", Rows: []Row{{From: "a", To: "b", Saw: "open"}}}
	subject := Spec{Suite: "firewall", State: Held, Promise: "reach", Subjects: asPublished().Flows}
	for name, c := range map[string]struct {
		findings []Finding
		specs    []Spec
		stale    string // "": none
	}{
		"used":                          {findings: []Finding{waivedFinding()}, specs: []Spec{judged}},
		"the promise holds":             {specs: []Spec{judged}, stale: "holds now"},
		"a subject that holds":          {specs: []Spec{subject}, stale: "holds now"},
		"another finding":               {findings: []Finding{another}, specs: []Spec{judged}, stale: `seen "refused"`},
		"a flow that there is not":      {specs: []Spec{elsewhere}, stale: "nothing of this name was judged"},
		"a flow that was left out":      {specs: []Spec{elsewhere, {Suite: "firewall", State: Skipped}}},
		"a flow that was not testable":  {specs: []Spec{elsewhere, {Suite: "firewall", State: CouldNotTest}}},
		"left out in another suite":     {specs: []Spec{elsewhere, {Suite: "tunnel", State: Skipped}}, stale: "nothing of this name"},
		"a promise that nobody judged":  {specs: []Spec{{Suite: "firewall", State: Held, Promise: "silent"}}},
		"a subject that did not finish": {specs: []Spec{{Suite: "firewall", State: CouldNotTest, Promise: "reach", Subjects: asPublished().Flows}}},
	} {
		t.Run(name, func(t *testing.T) {
			stale := Apply(c.findings, []Waiver{asPublished()}, JudgedBy(c.specs), today)
			switch {
			case c.stale == "" && len(stale) > 0:
				t.Errorf("stale: %s", stale)
			case c.stale != "" && (len(stale) != 1 || !strings.Contains(stale[0].Text, c.stale)):
				t.Errorf("stale is %v, want %q", stale, c.stale)
			}
		})
	}
}

func TestAWaiverOfTwoFlowsIsUsedOfEach(t *testing.T) {
	w := asPublished()
	w.Flows = append(w.Flows, "stranger -> vps over internet http ipv6")
	gone := judgedRow()
	gone.Service = "http"
	findings := []Finding{waivedFinding()}
	stale := Apply(findings, []Waiver{w}, JudgedBy([]Spec{{Suite: "firewall", State: Held, Rows: []Row{judgedRow(), gone}}}), today)
	if len(stale) != 1 || stale[0].Flow != w.Flows[1] {
		t.Errorf("stale: %v, want the second flow", stale)
	}
	if findings[0].Waiver == nil {
		t.Error("the first flow's finding is not waived")
	}
}
