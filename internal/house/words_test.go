package house

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// words that have another one here; see the table in docs/architecture.md.
var words = map[string]string{
	"Host":     "node (or machine, for the one that we run on)",
	"Box":      "node",
	"VM":       "node",
	"Server":   "node, or the service by its name",
	"Scenario": "drill",
	"Backend":  "driver",
	"Provider": "driver",
	"Result":   "verdict (of a flow)",
	"Issue":    "finding or problem",
	"Util":     "a noun of the domain",
	"Utils":    "a noun of the domain",
	"Helper":   "a noun of the domain",
	"Helpers":  "a noun of the domain",
	"Common":   "a noun of the domain",
	"Manager":  "a noun of the domain",
	"Misc":     "a noun of the domain",
}

// meant are names that use such a word for something else.
var meant = []string{
	"topology.Result",            // of a command, not of a flow
	"topology.RoleBackupServer",  // the site's own word
	"topology.RoleServer",        // the site's own word
	"topology/netns/wire.Server", // the end of a socket that answers
}

// The words of a Go name: HostKeyID is Host, Key, ID.
var camel = regexp.MustCompile(`[A-Z]+[a-z0-9]*`)

func TestOneWordForOneThing(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		for file, f := range p.files {
			if strings.HasSuffix(file, "_test.go") || f.Name.Name == "main" {
				continue
			}
			for _, name := range exported(f) {
				seen++
				if slices.Contains(meant, p.path+"."+name) {
					continue
				}
				for _, word := range camel.FindAllString(name, -1) {
					// A host key is what sshd calls it.
					if better, ok := words[word]; ok && !strings.Contains(name, "HostKey") {
						t.Errorf("%s/%s: %s says %s; the word is %s", p.path, file, name, word, better)
					}
				}
			}
		}
	}
	if seen < 50 {
		t.Fatalf("only %d exported names found: nothing was tested", seen)
	}
}

// exported lists a file's exported types, functions, constants and variables.
func exported(f *ast.File) []string {
	var names []string
	keep := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				keep(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					keep(spec.Name)
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						keep(id)
					}
				}
			}
		}
	}
	return names
}

func TestPackagesAreNamedAfterWhatTheyAre(t *testing.T) {
	for _, p := range packages(t) {
		for _, part := range strings.Split(p.path, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib"}, part) {
				t.Errorf("%s: %s is no noun of the domain", p.path, part)
			}
		}
	}
}
