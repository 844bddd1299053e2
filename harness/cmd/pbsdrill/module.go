package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const modulePath = "github.com/pbsdrill/pbsdrill"

// module is the folder that holds this project's go.mod: the suites are built
// there, and runs/ lies there.
type module struct {
	dir string
}

// findModule takes what was asked for, else looks upwards from the working
// directory, else from where this binary lies.
func findModule(asked string) (module, error) {
	if asked != "" {
		dir, err := filepath.Abs(asked)
		if err != nil {
			return module{}, failure{Usage, err}
		}
		if !isModule(dir) {
			return module{}, fail(Usage, "--module: %s has no go.mod of %s", asked, modulePath)
		}
		return module{dir}, nil
	}
	var from []string
	if dir, err := os.Getwd(); err == nil {
		from = append(from, dir)
	}
	if exe, err := os.Executable(); err == nil {
		from = append(from, filepath.Dir(exe))
	}
	for _, dir := range from {
		if m, ok := above(dir); ok {
			return m, nil
		}
	}
	return module{}, fail(Usage, "the suites are not here: no go.mod of %s above %s; run it in a clone, or say --module=CLONE",
		modulePath, strings.Join(from, " or "))
}

func above(dir string) (module, bool) {
	for {
		if isModule(dir) {
			return module{dir}, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return module{}, false
		}
		dir = up
	}
}

func isModule(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first) == "module "+modulePath
}

// goTool is the Go that builds the suites: the clone's own choice, which knows
// the pinned toolchain.
func (m module) goTool() string {
	if own := filepath.Join(m.dir, "scripts", "go"); executable(own) {
		return own
	}
	return "go"
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// ginkgo is the pinned ginkgo's binary. It is run without `go tool` in
// between, which would pass on each signal a second time, and a second one
// tells ginkgo to leave out the clean-up.
func (m module) ginkgo(ctx context.Context) (string, error) {
	c := exec.CommandContext(ctx, m.goTool(), "tool", "-n", "ginkgo")
	c.Dir = m.dir
	out, err := c.Output()
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		return "", fail(CouldNotTest, "build ginkgo: %w: %s", err, strings.TrimSpace(string(exited.Stderr)))
	case err != nil:
		return "", fail(CouldNotTest, "build ginkgo: %w; see pbsdrill doctor", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// suites are the folders below suites/ that hold specs, or of those the ones
// that were asked for: by name or by path.
func (m module) suites(asked []string) ([]string, error) {
	known, err := m.knownSuites()
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return known, nil
	}
	var chosen []string
	for _, name := range asked {
		name = strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(filepath.Clean(name)), "suites/"), "/...")
		if !slices.Contains(known, name) {
			return nil, fail(Usage, "there is no suite %q%s", name, wayOut(name, known))
		}
		chosen = append(chosen, name)
	}
	return chosen, nil
}

func (m module) knownSuites() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(m.dir, "suites", "*", "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("look for suites: %w", err)
	}
	var known []string
	for _, file := range files {
		known = append(known, filepath.Base(filepath.Dir(file)))
	}
	if len(known) == 0 {
		return nil, fail(CouldNotTest, "%s holds no suites", filepath.Join(m.dir, "suites"))
	}
	slices.Sort(known)
	return slices.Compact(known), nil
}
