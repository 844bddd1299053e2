package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pbsdrill/pbsdrill"

// root is the module's folder: a test runs in its package's.
const root = "../.."

// pkg is a folder with Go files, by its path below the module.
type pkg struct {
	path  string
	files map[string]*ast.File // by name
}

// packages parses every Go file of the module.
func packages(t *testing.T) []*pkg {
	t.Helper()
	set := token.NewFileSet()
	var all []*pkg
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "runs" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		p, err := parse(set, name)
		if err == nil && len(p.files) > 0 {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("only %d packages found below %s: nothing was tested", len(all), root)
	}
	return all
}

func parse(set *token.FileSet, dir string) (*pkg, error) {
	path, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	p := &pkg{path: filepath.ToSlash(path), files: map[string]*ast.File{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.files[filepath.Base(name)] = f
	}
	return p, nil
}

// within says whether a path is the folder or lies below it; fixtures/fake* is
// every folder that begins so.
func within(path, folder string) bool {
	if start, any := strings.CutSuffix(folder, "*"); any {
		return strings.HasPrefix(path, start)
	}
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func withinAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(path, f) })
}

// imports lists what a package imports, its tests left out when asked: tests
// may use Gomega anywhere.
func (p *pkg) imports(tests bool) map[string]string {
	found := map[string]string{} // import → file
	for name, f := range p.files {
		if !tests && strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err == nil {
				found[strings.TrimPrefix(path, module+"/")] = name
			}
		}
	}
	return found
}

// rules are what DESIGN and CONTRIBUTING call "dependencies point one way".
var rules = []struct {
	who    []string // folders of the module
	never  []string // folders of the module, or modules
	except []string // of never
	tests  bool     // for tests as well
	why    string
}{
	{
		who:   []string{"topology"},
		never: []string{"harness", "suites", "drills", "fixtures"},
		why:   "a driver knows nothing of those who ask it questions",
	},
	{
		who:   []string{"topology", "harness/evidence", "harness/report", "harness/flow", "harness/filter", "harness/pbs", "harness/doctor"},
		never: []string{"github.com/onsi/ginkgo/v2", "github.com/onsi/gomega"},
		why:   "it is used outside of specs too",
	},
	{
		who:   []string{"harness"},
		never: []string{"suites", "drills"},
		tests: true,
		why:   "suites ask the harness, never the other way round",
	},
	{
		who:    []string{"fixtures/fake*"},
		never:  []string{"harness"},
		except: []string{"harness/pbs", "harness/clock"},
		why:    "a stand-in that shared code with its judge would agree with it",
	},
}

// broken lists the rules that a package breaks.
func broken(p *pkg) []string {
	var all []string
	if isProgram(p) {
		return nil
	}
	for _, rule := range rules {
		if !withinAny(p.path, rule.who) {
			continue
		}
		for path, file := range p.imports(rule.tests) {
			if withinAny(path, rule.never) && !withinAny(path, rule.except) {
				all = append(all, fmt.Sprintf("%s/%s imports %s: %s", p.path, file, path, rule.why))
			}
		}
	}
	return all
}

func TestDependenciesPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, text := range broken(p) {
			t.Error(text)
		}
	}
}

func TestTheRulesObject(t *testing.T) {
	cases := []struct {
		path, file, imports string
		want                int
	}{
		{"topology", "a.go", module + "/harness/flow", 1},
		{"topology/netns", "a.go", "github.com/onsi/gomega", 1},
		{"topology/netns", "a_test.go", "github.com/onsi/gomega", 0},
		{"topology", "a.go", module + "/fixtures/fakepbs", 1},
		{"harness/flow", "a.go", "github.com/onsi/ginkgo/v2", 1},
		{"harness/match", "a.go", "github.com/onsi/gomega", 0},
		{"harness/flow", "a_test.go", module + "/suites/firewall", 1},
		{"fixtures/fakepbs", "a.go", module + "/harness/flow", 1},
		{"fixtures/fakepbs", "a.go", module + "/harness/pbs/blob", 0},
		{"fixtures/fakepbs", "a.go", module + "/topology", 0},
		{"fixtures/mutants", "a.go", module + "/harness/report", 0},
		{"suites/firewall", "a.go", module + "/harness/flow", 0},
	}
	for _, c := range cases {
		f, err := parser.ParseFile(token.NewFileSet(), c.file, "package p\nimport _ "+strconv.Quote(c.imports), 0)
		if err != nil {
			t.Fatal(err)
		}
		got := broken(&pkg{path: c.path, files: map[string]*ast.File{c.file: f}})
		if len(got) != c.want {
			t.Errorf("%s/%s importing %s breaks %d rules %v, want %d", c.path, c.file, c.imports, len(got), got, c.want)
		}
	}
}

// isProgram: a command brings everything together, so the rules are not for it.
func isProgram(p *pkg) bool {
	for _, f := range p.files {
		if f.Name.Name == "main" {
			return true
		}
	}
	return false
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		doc := p.files["doc.go"]
		switch {
		case doc == nil:
			t.Errorf("%s has no doc.go", p.path)
		case len(strings.TrimSpace(doc.Doc.Text())) < 60:
			t.Errorf("%s/doc.go says too little", p.path)
		}
	}
}
