package main

import (
	"strings"
	"testing"
)

func TestMistakesEndWithUsageAndAWayOut(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for _, c := range []struct {
		args string
		says string
	}{
		{"chekc x", `has no command "chekc"; did you mean "check"?`},
		{"lab shel vps", `has no command "shel"; did you mean "shell"?`},
		{"check", "check: SITE is missing"},
		{"check a b", `check: "b" is too much`},
		{"check --jsn a", `check has no flag --jsn; did you mean "--json"?`},
		{"drill --lable-filter=x a", `did you mean "--label-filter"?`},
		{"drill --procs=many testdata/house", "--procs"},
		{"drill --procs=-1 testdata/house", "--procs: -1 processes"},
		{"drill --limit=0s testdata/house", "--limit: 0s leaves no time"},
		{"drill --driver=netsn testdata/house", `no driver "netsn"; did you mean "netns"?`},
		{"drill testdata/house firewal", `no suite "firewal"; did you mean "firewall"?`},
		{"drill --module=testdata testdata/house", "has no go.mod of"},
		{"drill testdata/none", "testdata/none"},
		{"lab run testdata/house vps", "the command is missing"},
		{"lab run testdata/house", "NODE is missing"},
		{"lab run testdata/house vsp -- true", `house has no node "vsp"; did you mean "vps"?`},
		{"lab run testdata/house vps true", "put it behind --"},
		{"lab shell", "NODE is missing"},
		{"lab shell vps", "no lab is up"},
		{"lab down abc", "no lab is up"},
		{"lab down --all abc", "either abc or --all"},
		{"soak --times=0", "0 kills show nothing"},
	} {
		r := pbsdrill(t, strings.Fields(c.args)...)
		if r.code != Usage || !strings.Contains(r.err, c.says) || r.out != "" {
			t.Errorf("pbsdrill %s: exit %d\n%s%s\nwanted 2 and %q", c.args, r.code, r.out, r.err, c.says)
		}
		if lines := strings.Count(r.err, "\n"); lines != 1 {
			t.Errorf("pbsdrill %s: %d lines instead of one:\n%s", c.args, lines, r.err)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		for _, each := range append(c.Commands(), c) {
			if each.Example == "" || each.Short == "" {
				t.Errorf("%s has no sentence or no example", each.CommandPath())
			}
		}
	}
}

func TestHelpHasTheTableOfExitCodes(t *testing.T) {
	r := pbsdrill(t, "--help")
	if r.code != Held || r.err != "" {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	for _, row := range codes {
		if !strings.Contains(r.out, row.Meaning) {
			t.Errorf("help lacks %q", row.Meaning)
		}
	}
}

func FuzzWayOut(f *testing.F) {
	f.Add("chekc")
	f.Add("")
	f.Add("--\xff")
	f.Fuzz(func(t *testing.T, word string) {
		text := wayOut(word, []string{"check", "doctor", "drill"})
		if !strings.HasPrefix(text, "; ") {
			t.Errorf("%q: %q", word, text)
		}
	})
}
