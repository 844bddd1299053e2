package house

import (
	"context"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pbsdrill/pbsdrill/topology"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The program's table of codes, read from its source: its package is main and
// cannot be imported.
func codesInSource(t *testing.T) map[int]string {
	t.Helper()
	p, err := parse(token.NewFileSet(), filepath.Join(root, "harness/cmd/pbsdrill"))
	if err != nil {
		t.Fatal(err)
	}
	values, meanings := map[string]int{}, map[int]string{}
	ast.Inspect(p.files["code.go"], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Code" && len(n.Values) == 1 {
				value, err := strconv.Atoi(n.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values[n.Names[0].Name] = value
			}
		case *ast.CompositeLit:
			if len(n.Elts) != 3 {
				return true
			}
			code, ok := n.Elts[0].(*ast.Ident)
			if !ok {
				return true
			}
			text, err := strconv.Unquote(n.Elts[1].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			meanings[values[code.Name]] = text
		}
		return true
	})
	if len(values) != len(meanings) {
		t.Fatalf("code.go has %d codes and %d rows", len(values), len(meanings))
	}
	return meanings
}

var codeRow = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \|`)

func TestExitCodesAreDocumented(t *testing.T) {
	documented := map[int]string{}
	for _, m := range codeRow.FindAllStringSubmatch(read(t, "docs/exit-codes.md"), -1) {
		code, _ := strconv.Atoi(m[1]) // the pattern let only digits pass
		documented[code] = strings.TrimSpace(m[2])
	}
	if want := codesInSource(t); !maps.Equal(documented, want) || len(want) == 0 {
		t.Errorf("docs/exit-codes.md says %v, the program %v", documented, want)
	}
}

var (
	target      = regexp.MustCompile(`(?m)^([a-z0-9]+):.*## `)
	makeMention = regexp.MustCompile("(?m)(?:`|^\\s*(?:\\$ )?|run: |&& )make ([a-z0-9]+)")
)

// mentions are the documents that name make targets and files.
var mentions = []string{
	"README.md", "CONTRIBUTING.md", ".github/workflows/ci.yaml", ".github/workflows/nightly.yaml",
	"docs/architecture.md", "docs/drivers.md", "docs/writing-a-spec.md", "docs/commands.md", "docs/in-ci.md",
}

func TestMakeTargetsExist(t *testing.T) {
	known := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		known[m[1]] = true
	}
	for _, name := range []string{"drill", "test", "check", "e2e", "bench", "fuzz", "mutants", "soak", "sweep"} {
		if !known[name] {
			t.Errorf("the Makefile has no target %s with a sentence", name)
		}
	}
	found := 0
	for _, name := range mentions {
		for _, m := range makeMention.FindAllStringSubmatch(read(t, name), -1) {
			found++
			if !known[m[1]] {
				t.Errorf("%s names `make %s`, which the Makefile does not list", name, m[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d mentions of make found: the pattern is broken", found)
	}
}

// link is a relative one of a document, without its anchor.
var link = regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "CHANGELOG.md"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

var (
	commandRow = regexp.MustCompile("(?m)^## `pbsdrill ([a-z]+(?: [a-z]+)?)")
	helpRow    = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`)
)

// commands asks pbsdrill's own help, and its lab's.
func commands(t *testing.T, program string, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), program, append(args, "--help")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(out), "Available Commands:\n")
	if !ok {
		t.Fatalf("no commands in:\n%s", out)
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for _, m := range helpRow.FindAllStringSubmatch(list, -1) {
		names = append(names, strings.Join(append(slices.Clone(args), m[1]), " "))
	}
	return names
}

func TestCommandsAreDocumented(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pbsdrill")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, "./harness/cmd/pbsdrill")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	has := append(commands(t, program), commands(t, program, "lab")...)
	has = slices.DeleteFunc(has, func(name string) bool { return name == "help" || name == "lab" })
	var documented []string
	for _, m := range commandRow.FindAllStringSubmatch(read(t, "docs/commands.md"), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(has)
	slices.Sort(documented)
	if !slices.Equal(has, documented) {
		t.Errorf("pbsdrill has   %q\ndocs/commands.md has %q", has, documented)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// The first snippet of docs/sites.md is a whole site; each of the others
// replaces the keys of it that it has.
func TestTheSnippetsOfSitesLoad(t *testing.T) {
	blocks := yamlBlock.FindAllStringSubmatch(read(t, "docs/sites.md"), -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d snippets found: the pattern is broken", len(blocks))
	}
	for _, b := range blocks {
		site := t.TempDir()
		text := merge(t, blocks[0][1], b[1])
		if err := os.WriteFile(filepath.Join(site, "site.yaml"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := topology.Load(site); err != nil {
			t.Errorf("this snippet does not load:\n%s\n%v", b[1], err)
		}
	}
}

func merge(t *testing.T, whole, part string) []byte {
	t.Helper()
	var site, change yaml.Node
	for text, into := range map[string]*yaml.Node{whole: &site, part: &change} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
	}
	if whole == part {
		return []byte(whole)
	}
	keys := site.Content[0]
	for i := 0; i < len(change.Content[0].Content); i += 2 {
		key, value := change.Content[0].Content[i], change.Content[0].Content[i+1]
		at := slices.IndexFunc(keys.Content, func(n *yaml.Node) bool { return n.Value == key.Value })
		if at >= 0 && at%2 == 0 {
			keys.Content[at+1] = value
		} else {
			keys.Content = append(keys.Content, key, value)
		}
	}
	text, err := yaml.Marshal(&site)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryKeyOfASiteIsDocumented(t *testing.T) {
	text := read(t, "docs/sites.md")
	for _, m := range regexp.MustCompile(`json:"([a-z][a-z0-9-]*)"`).FindAllStringSubmatch(read(t, "topology/document.go"), -1) {
		if !strings.Contains(text, "`"+m[1]+"`") && !strings.Contains(text, "\n### "+m[1]) {
			t.Errorf("docs/sites.md says nothing of the key %s", m[1])
		}
	}
}

// pin is an action with its version's full commit and the version behind it.
var (
	action = regexp.MustCompile(`uses: +(\S+)(.*)`)
	pin    = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
)

func TestActionsArePinned(t *testing.T) {
	found := 0
	for _, name := range []string{".github/workflows/ci.yaml", ".github/workflows/nightly.yaml", "docs/in-ci.md"} {
		text := read(t, name)
		for _, m := range action.FindAllStringSubmatch(text, -1) {
			found++
			if !pin.MatchString(m[1]) || !strings.HasPrefix(m[2], " # v") {
				t.Errorf("%s: %s is not pinned to a commit with its version behind it", name, m[0])
			}
		}
		if !strings.Contains(text, "permissions:\n  contents: read\n") {
			t.Errorf("%s does not restrict its permissions", name)
		}
	}
	if found < 5 {
		t.Errorf("only %d actions found: the pattern is broken", found)
	}
}

func TestTheToolchainCanBuildThis(t *testing.T) {
	version := regexp.MustCompile(`(?m)^version=(1\.\d+)\.\d+$`).FindStringSubmatch(read(t, "scripts/toolchain"))
	needs := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if version == nil || needs == nil || version[1] != needs[1] {
		t.Errorf("scripts/toolchain pins %v, go.mod needs %v", version, needs)
	}
}
