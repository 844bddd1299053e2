package topology_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"testing"

	"github.com/pbsdrill/pbsdrill/topology"
)

// yamlBreak is what ends a line in YAML.
var yamlBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../fixtures/sites/*/site.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(minimal, "site.yaml")) {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("site: x\nnetworks: {lan: {ipv4: 10.0.0.0/8}}\nnodes: {a: &a {role: client, on: {lan: 10.0.0.1}}, b: *a}\npromises: {reach: [{\"a -> b over lan\": any}, {\", -> ,\": x}], limits: [{a at a: 1 per 1s}]}\n"))
	f.Add([]byte("? [a]\n: b\n---\n...\n"))
	f.Add([]byte("site: a\rabout: b\r\r\r: {\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, "site.yaml"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		site, err := topology.Load(dir)
		if err == nil {
			if site == nil || site.Name == "" || len(site.Hash()) != 64 {
				t.Errorf("no error and no site: %+v", site)
			}
			return
		}
		var problems topology.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("an error of another kind: %v", err)
		}
		lines := len(yamlBreak.FindAll(content, -1)) + 2
		for _, p := range problems {
			if p.Position.File != "site.yaml" || p.Position.Line > lines || p.Text == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		if !sort.SliceIsSorted(problems, func(i, j int) bool { return problems[i].Position.Line < problems[j].Position.Line }) {
			t.Errorf("not sorted:\n%v", problems)
		}
	})
}
