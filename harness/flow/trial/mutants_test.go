package trial_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Mutants of ourselves: the harness with one line of its own made wrong. A
// green run proves something only if each of them turns it red. The source
// stays as it is; the compiler is given other files in its place (-overlay).
var _ = Describe("the harness's own tests", Label("mutants"), func() {
	const within = SpecTimeout(3 * time.Minute)

	It("hold for the harness as it is", func(ctx SpecContext) {
		out, err := testOurselves(ctx, "", "", "./flow", "./match", "./filter")
		Expect(err).NotTo(HaveOccurred(), out)
	}, within)

	DescribeTable("object to",
		func(ctx SpecContext, file, right, wrong, objector string) {
			source, err := filepath.Abs(filepath.Join("../..", file))
			Expect(err).NotTo(HaveOccurred())
			content, err := os.ReadFile(source)
			Expect(err).NotTo(HaveOccurred())
			Expect(strings.Count(string(content), right)).To(Equal(1), "the line to break is in %s once", file)
			mutant := filepath.Join(GinkgoT().TempDir(), filepath.Base(file))
			Expect(os.WriteFile(mutant, []byte(strings.Replace(string(content), right, wrong, 1)), 0o600)).To(Succeed())

			out, err := testOurselves(ctx, source, mutant, "./"+filepath.Dir(file))
			Expect(err).To(HaveOccurred(), "nobody objects")
			Expect(out).NotTo(ContainSubstring("[build failed]"))
			Expect(out).To(ContainSubstring("--- FAIL: " + objector))
		},
		Entry("a matcher that always agrees", "match/match.go",
			"return m.holds(p), nil", "return m.holds(p) || true, nil", "TestWhatEachMatcherHoldsFor", within),
		Entry("a matcher that lets unknown pass", "match/match.go",
			`return false, fmt.Errorf("%s could not be told: %s%s", p.Flow, p.Why, witnesses(p))`, "return m.holds(p), nil", "TestUnknownSatisfiesNothing", within),
		Entry("a probe that always says dropped", "flow/judge.go",
			"j := weigh(o)\n", "j := weigh(o)\n\tj.saw = Dropped\n", "TestJudge", within),
		Entry("a probe that always says open", "flow/judge.go",
			"j := weigh(o)\n", "j := weigh(o)\n\tj.saw = Open\n", "TestJudge", within),
		Entry("a probe without a route, which takes itself for the filter", "flow/judge.go",
			"if o.left {", "if o.left || true {", "TestJudge", within),
		Entry("a probe that believes in a blind trace", "flow/judge.go",
			`reason != "" &&`, `reason == "never" &&`, "TestABlindProberKnowsNothing", within),
		Entry("a probe that takes whoever answers", "flow/judge.go",
			"case o.identity.checked && !o.identity.right:", "case o.identity.checked && !o.identity.right && false:", "TestJudge", within),
		Entry("a promise that anything keeps", "flow/flow.go",
			"return v.Closed()", "return v.Closed() || true", "TestMet", within),
		Entry("a matrix without its complement", "flow/matrix.go",
			"rows = append(rows, row(site, end))", "if r := row(site, end); r.Want == WantOpen {\n\t\t\t\t\t\trows = append(rows, r)\n\t\t\t\t\t}", "TestMatrixIsEveryPairAddressAndService", within),
		Entry("a line that is off by one", "filter/restore.go",
			"line: i + 1", "line: i + 2", "TestLocateInRulesV4", within),
	)
})

// testOurselves runs the unit tests of packages of the harness, with one file in
// place of another.
func testOurselves(ctx context.Context, source, mutant string, packages ...string) (string, error) {
	GinkgoHelper()
	tool, err := filepath.Abs("../../../scripts/go")
	Expect(err).NotTo(HaveOccurred())
	args := []string{"test", "-count=1", "-run", "^Test"}
	if source != "" {
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: mutant}})
		Expect(err).NotTo(HaveOccurred())
		path := mutant + ".json"
		Expect(os.WriteFile(path, overlay, 0o600)).To(Succeed())
		args = append(args, "-overlay="+path)
	}
	args = append(args, packages...)
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = "../.."
	// Its own build of the very tests that ginkgo has built: without cgo, as
	// the nodes need it.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
