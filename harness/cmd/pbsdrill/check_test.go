package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckOfAGoodSite(t *testing.T) {
	r := pbsdrill(t, "check", "testdata/house")
	if r.code != Held || r.err != "" {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	golden(t, "check-house.txt", r.out)
}

func TestCheckNamesEveryProblem(t *testing.T) {
	r := pbsdrill(t, "check", "testdata/broken")
	if r.code != Usage {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	golden(t, "check-broken.txt", r.out)
}

func TestCheckAsJSON(t *testing.T) {
	r := pbsdrill(t, "check", "--json", "testdata/broken")
	var c checked
	if err := json.Unmarshal([]byte(r.out), &c); err != nil {
		t.Fatal(err)
	}
	if r.code != Usage || c.OK || len(c.Problems) < 3 || c.Problems[0].Position.Line == 0 {
		t.Errorf("exit %d: %+v", r.code, c)
	}
}

func TestABrokenSiteIsToldWholeBeforeAnythingRuns(t *testing.T) {
	for _, args := range []string{"drill", "plan", "lab up"} {
		r := pbsdrill(t, append(strings.Fields(args), "testdata/broken")...)
		if r.code != Usage || strings.Count(r.err, "site.yaml:") < 3 || r.out != "" {
			t.Errorf("%s: exit %d\n%s", args, r.code, r.err)
		}
	}
}

func TestPlan(t *testing.T) {
	r := pbsdrill(t, "plan", "testdata/house")
	if r.code != Held || r.err != "" {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	golden(t, "plan-house.txt", r.out)
}

func TestPlanCountsWhatItLists(t *testing.T) {
	for _, site := range []string{"testdata/house", "../../../fixtures/sites/homelab-vps", "../../../fixtures/sites/homelab-vps-published"} {
		r := pbsdrill(t, "plan", "--json", site)
		var p plan
		if err := json.Unmarshal([]byte(r.out), &p); err != nil {
			t.Fatalf("%s: %v\n%s", site, err, r.err)
		}
		sum := 0
		for _, n := range p.Counts {
			sum += n
		}
		if sum != len(p.Rows) || sum == 0 || p.Counts["open"] == 0 || p.Counts["closed"]+p.Counts["dropped"] == 0 {
			t.Errorf("%s: %d rows, counts %v", site, len(p.Rows), p.Counts)
		}
		for _, row := range p.Rows {
			if row.At.Line == 0 {
				t.Fatalf("%s: %s has no line", site, row.Flow)
			}
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	r := pbsdrill(t, "schema")
	if r.code != Held || !json.Valid([]byte(r.out)) {
		t.Errorf("exit %d: %s", r.code, r.out)
	}
}
