package main

import (
	"io"
	"strings"
	"testing"
)

func TestGoTestEvents(t *testing.T) {
	const head = `{"Action":"start","Package":"p"}` + "\n"
	cases := map[string]struct {
		in   string
		want Count
		exit int
	}{
		"nothing at all":  {"", Count{}, 3},
		"no test files":   {head + `{"Action":"skip","Package":"p"}`, Count{}, 3},
		"no tests to run": {head + `{"Action":"pass","Package":"p"}`, Count{}, 3},
		"only skipped":    {head + `{"Action":"skip","Package":"p","Test":"T"}`, Count{Skipped: 1}, 3},
		"one passed":      {head + `{"Action":"pass","Package":"p","Test":"T"}` + "\n" + `{"Action":"pass","Package":"p"}`, Count{Passed: 1}, 0},
		"one failed":      {head + `{"Action":"fail","Package":"p","Test":"T"}` + "\n" + `{"Action":"fail","Package":"p"}`, Count{Failed: 1}, 1},
		"does not build":  {`{"Action":"build-fail","ImportPath":"p"}` + "\n" + `{"Action":"fail","Package":"p"}`, Count{Failed: 1}, 1},
		"go's own error":  {"go: no such tool", Count{}, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := follow(strings.NewReader(c.in), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want || got.exit() != c.exit {
				t.Errorf("got %v, exit %d; want %v, exit %d", got, got.exit(), c.want, c.exit)
			}
		})
	}
}

func TestWhatFailedIsShown(t *testing.T) {
	in := `{"Action":"output","Package":"p","Test":"T","Output":"the reason\n"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"output","Package":"p","Test":"U","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"U"}
{"Action":"fail","Package":"p"}`
	var out strings.Builder
	if _, err := follow(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "the reason") || strings.Contains(s, "noise") {
		t.Errorf("shown:\n%s", s)
	}
}

func TestJUnit(t *testing.T) {
	got, err := countJUnit(strings.NewReader(`<testsuites><testsuite>
		<testcase name="a"/>
		<testcase name="b"><failure message="m">text</failure></testcase>
		<testcase name="c"><error/></testcase>
		<testcase name="d"><skipped/></testcase>
	</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Count{Passed: 1, Failed: 2, Skipped: 1}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFileThatIsMissingIsNoPass(t *testing.T) {
	if _, err := countFiles([]string{"no-such-file.xml"}); err == nil {
		t.Error("no error")
	}
}

func TestABrokenJUnitFileIsNoPass(t *testing.T) {
	if _, err := countJUnit(strings.NewReader(`<testsuites><testcase`)); err == nil {
		t.Error("no error")
	}
}
