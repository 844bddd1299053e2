package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/sweep"
)

// listLimit is for building the suites and naming their specs.
const listLimit = 5 * time.Minute

// listedSpec is a spec that a dry run names.
type listedSpec struct {
	Suite  string   `json:"suite"`
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
	Asked  bool     `json:"asked"` // it would run with this filter
}

func (s listedSpec) String() string {
	line := fmt.Sprintf("%s: %s", s.Suite, s.Name)
	if len(s.Labels) > 0 {
		line += " [" + strings.Join(s.Labels, ", ") + "]"
	}
	return line
}

// dryRun names the specs that a drill would run.
func (a *app) dryRun(ctx context.Context, d drill) error {
	all, err := a.list(ctx, d)
	if err != nil {
		return err
	}
	asked := slices.DeleteFunc(slices.Clone(all), func(s listedSpec) bool { return !s.Asked })
	err = a.print(all, func() {
		for _, s := range asked {
			fmt.Fprintln(a.out, s)
		}
		fmt.Fprintf(a.out, "%s of %d would run\n", counted(len(asked), "spec"), len(all))
	})
	if err == nil && len(asked) == 0 {
		return fail(CouldNotTest, "no spec matches the filter %s", d.filter)
	}
	return err
}

// list has ginkgo name the specs; it runs none of them. A dry run has no
// parallel processes.
func (a *app) list(ctx context.Context, d drill) ([]listedSpec, error) {
	dir, err := os.MkdirTemp("", sweep.TemporaryName(os.Getpid()))
	if err != nil {
		return nil, failure{CouldNotTest, err}
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a file or two in /tmp
	d.dir = filepath.Join(dir, "run")
	p := a.progress("building the suites", d.limit)
	defer p.end()
	remove, err := a.build(ctx, &d)
	defer remove()
	if err != nil {
		return nil, failure{CouldNotTest, err}
	}
	output := &tail{max: kept}
	argv := d.arguments("--dry-run", "--no-color", "--json-report=list.json", "--output-dir="+dir)
	run, err := startGuarded(d.module.dir, argv, environment, output)
	if err != nil {
		return nil, fail(CouldNotTest, "start ginkgo: %w", err)
	}
	defer func() { _ = run.life.Close() }()
	if _, err := run.wait(ctx, nil, p.above); err != nil {
		return nil, fail(CouldNotTest, "run ginkgo: %w", err)
	}
	p.end()
	if ctx.Err() != nil {
		return nil, failure{Interrupted, ctx.Err()}
	}
	text, err := os.ReadFile(filepath.Join(dir, "list.json"))
	if err != nil {
		return nil, fail(CouldNotTest, "the suites could not be built:\n%s", strings.TrimSpace(output.String()))
	}
	var reports []ginkgoReport
	if err := json.Unmarshal(text, &reports); err != nil {
		return nil, fail(CouldNotTest, "read ginkgo's list: %w", err)
	}
	return listed(reports), nil
}

// ginkgoReport is what is needed of ginkgo's JSON report, an entry for each
// suite.
type ginkgoReport struct {
	SuitePath   string
	SuiteLabels []string
	SpecReports []struct {
		ContainerHierarchyTexts  []string
		ContainerHierarchyLabels [][]string
		LeafNodeType             string
		LeafNodeLabels           []string
		LeafNodeText             string
		State                    string
	}
}

func listed(reports []ginkgoReport) []listedSpec {
	all := []listedSpec{}
	for _, r := range reports {
		for _, s := range r.SpecReports {
			if s.LeafNodeType != "It" {
				continue
			}
			labels := slices.Concat(append(s.ContainerHierarchyLabels, r.SuiteLabels, s.LeafNodeLabels)...)
			slices.Sort(labels)
			name := strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " ")
			all = append(all, listedSpec{Suite: filepath.Base(r.SuitePath), Name: name, Labels: slices.Compact(labels), Asked: s.State == "passed"})
		}
	}
	return all
}
