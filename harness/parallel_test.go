package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

// Ginkgo's processes need its command line tool, which holds the server that
// they talk to.
func TestProcessesOfASuiteShareARun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds ginkgo")
	}
	t.Parallel()
	tools := t.TempDir()
	ginkgo := filepath.Join(tools, "ginkgo")
	if out, err := exec.Command("go", "build", "-o", ginkgo, "github.com/onsi/ginkgo/v2/ginkgo").CombinedOutput(); err != nil {
		t.Fatalf("build ginkgo: %v\n%s", err, out)
	}
	// ginkgo takes only what is named so for a compiled suite.
	suite := filepath.Join(tools, "harness.test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, suite); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]evidence.Code{"two": evidence.CodeHeld, "finding": evidence.CodeFailed, "untested": evidence.CodeCouldNotTest, "minimum": evidence.CodeCouldNotTest} {
		dir := filepath.Join(t.TempDir(), "run")
		c := exec.Command(ginkgo, "--procs=3", "--no-color", suite, "--", "-test.run=^TestTrial$", "-site="+siteFolder(t, ""), "-run-dir="+dir)
		c.Env = append(os.Environ(), trialEnv+"="+name)
		out, err := c.CombinedOutput()
		if (err == nil) != (want == evidence.CodeHeld) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		run, specs, err := evidence.Read(dir)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if o := evidence.Conclude(run, specs, clock()); o.Code != want || run.Planned != len(specs) {
			t.Errorf("%s: %+v with %d of %d specs", name, o, len(specs), run.Planned)
		}
		if says := lastLine(want); !strings.Contains(string(out), strings.TrimSpace(says)) {
			t.Errorf("%s does not say %q:\n%s", name, says, out)
		}
	}
}
