package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this test binary be what pbsdrill is under other names, and
// the ginkgo that drill tests run.
func TestMain(m *testing.M) {
	if role, ok := roles[os.Args[0]]; ok {
		os.Exit(role(os.Args[1:]))
	}
	if os.Getenv(playMain) != "" {
		main()
	}
	if how := os.Getenv(fakeGinkgo); how != "" {
		os.Exit(playGinkgo(how, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// result is how a command ended.
type result struct {
	code     Code
	out, err string
}

// pbsdrill runs a command line without a terminal.
func pbsdrill(t *testing.T, args ...string) result {
	t.Helper()
	return (&app{}).try(t.Context(), args...)
}

func (a *app) try(ctx context.Context, args ...string) result {
	var out, errs bytes.Buffer
	a.in, a.out, a.err = strings.NewReader(""), &out, &errs
	code := a.run(ctx, args)
	return result{code, out.String(), errs.String()}
}

// golden compares with testdata/NAME, which UPDATE_GOLDEN=1 writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
