package harness

import (
	"bufio"
	"flag"
	"os"
	"path/filepath"
	"strings"
)

var (
	siteFlag   = flag.String("site", "", "the site's folder; relative to the module's root")
	runDirFlag = flag.String("run-dir", "", "the run's folder, which is there already; relative to the module's root")
	seedFlag   = flag.Uint64("seed", 0, "the run's seed; ginkgo's own where it is 0")
)

// asked says whether somebody wants the suite to run: ginkgo, which always
// sets flags of its own, or a person who names a site. Plain `go test ./...`
// does neither, and runs no lab.
func asked() bool {
	found := *siteFlag != ""
	flag.Visit(func(f *flag.Flag) { found = found || strings.HasPrefix(f.Name, "ginkgo.") })
	return found
}

// module is the first line of this module's go.mod.
const module = "module github.com/pbsdrill/pbsdrill"

// Root is the folder of this module, above the working directory: a test's
// working directory is its package's folder. Without one it is the working
// directory itself.
func Root() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if ours(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return here, nil
		}
	}
}

func ours(gomod string) bool {
	f, err := os.Open(gomod)
	if err != nil {
		return false
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n') // an empty file is not ours
	return strings.TrimSpace(line) == module
}

// below is a path as it is, or relative to the module's root.
func below(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, path), nil
}

// shown is a path as somebody in the module's root writes it.
func shown(path string) string {
	root, err := Root()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
