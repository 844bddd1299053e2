package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/holder"
)

func TestWhichLabIsMeant(t *testing.T) {
	one := holder.State{ID: "aaaaaa", Nodes: []string{"vps", "pve"}}
	two := holder.State{ID: "bbbbbb", Nodes: []string{"vps", "hub"}}
	for _, c := range []struct {
		states   []holder.State
		id, node string
		want     string // an id, or a part of the error
	}{
		{nil, "", "", "no lab is up"},
		{[]holder.State{one}, "", "", "aaaaaa"},
		{[]holder.State{one, two}, "", "", "say which: aaaaaa, bbbbbb"},
		{[]holder.State{one, two}, "", "vps", "say which: aaaaaa, bbbbbb"},
		{[]holder.State{one, two}, "", "hub", "bbbbbb"},
		{[]holder.State{one, two}, "bbbbbb", "vps", "bbbbbb"},
		{[]holder.State{one, two}, "bbbbba", "", `did you mean "bbbbbb"?`},
		{[]holder.State{one}, "", "vsp", `did you mean "vps"?`},
	} {
		got, err := choose(c.states, c.id, c.node)
		if err != nil && (codeOf(err) != Usage || !strings.Contains(err.Error(), c.want)) || err == nil && got.ID != c.want {
			t.Errorf("%+v: %s, %v", c, got.ID, err)
		}
	}
}

func TestMomentsComeFromTheSeed(t *testing.T) {
	const up = 400 * time.Millisecond
	before, after := 0, 0
	for i := range 200 {
		m := moment(7, i, up)
		if m != moment(7, i, up) || m < 0 || m > 2*up {
			t.Fatalf("kill %d: %v", i, m)
		}
		if m < up {
			before++
		} else {
			after++
		}
	}
	if before < 50 || after < 50 || moment(7, 1, up) == moment(8, 1, up) {
		t.Errorf("%d before the lab is up, %d after", before, after)
	}
}
