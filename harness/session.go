package harness

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/report"
)

// session is what the spec under way has told so far. Its methods are safe for
// concurrent use: a spec may probe from several goroutines.
type session struct {
	mu       sync.Mutex
	spec     evidence.Spec
	folder   *evidence.Folder
	untested string // why it could not test
	shared   bool   // it used the shared lab
}

func (s *suite) beginSpec(r ginkgo.SpecReport) {
	if dryRun() || r.State.Is(types.SpecStateSkipped|types.SpecStatePending) {
		return
	}
	spec := s.specOf(r)
	spec.Started = clock().UTC()
	folder, err := s.store.Begin(spec)
	s.check(err)
	now := &session{spec: spec, folder: folder, untested: strange(spec.Labels)}
	s.session.Store(now)
	if now.untested != "" {
		s.fail(evidence.CodeCouldNotTest.String() + ": " + now.untested)
	}
}

func (s *suite) specOf(r ginkgo.SpecReport) evidence.Spec {
	labels := []string{s.name}
	for _, label := range r.Labels() {
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	return evidence.Spec{Suite: s.name, Name: r.FullText(), Labels: labels}
}

// closeSpec runs when the spec has said all that it has to say, and the lab is
// still there.
func (s *suite) closeSpec(ctx ginkgo.SpecContext) {
	now := s.session.Load()
	r := ginkgo.CurrentSpecReport()
	if now == nil || r.State.Is(types.SpecStateSkipped) {
		return
	}
	verdict := now.decide(shown(s.store.Dir()))
	if verdict != "" || r.Failed() || now.found() {
		s.collect(ctx, now)
	}
	if verdict != "" {
		s.fail(verdict)
	}
}

// decide is why the spec must fail, "" if it need not.
func (n *session) decide(dir string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := map[string]*evidence.Finding{}
	var red []evidence.Finding
	for i := range n.spec.Findings {
		f := &n.spec.Findings[i]
		if f.Waiver == nil {
			red = append(red, *f)
		}
		if found[f.Flow] == nil || f.Waiver == nil {
			found[f.Flow] = f
		}
	}
	var why []string
	if len(red) > 0 {
		why = append(why, report.RedLines(red, dir))
	}
	for i := range n.spec.Rows {
		r := &n.spec.Rows[i]
		f := found[r.Flow()]
		r.Waived = !r.Met && f != nil && f.Waiver != nil
		switch {
		case r.Saw == unknown || r.Saw == "":
			n.untested = worst(n.untested, fmt.Sprintf("%s: %s", r.Flow(), r.Why))
		case !r.Met && f == nil:
			why = append(why, fmt.Sprintf("%s: promised %s, seen %s: %s", r.Flow(), r.Want, r.Saw, r.Why))
		}
	}
	if n.untested != "" {
		why = append(why, evidence.CodeCouldNotTest.String()+": "+n.untested)
	}
	return strings.Join(why, "\n")
}

// unknown is flow.Unknown as a row holds it.
const unknown = "unknown"

// worst keeps the first reason.
func worst(known, next string) string {
	if known != "" {
		return known
	}
	return next
}

func (n *session) found() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.spec.Findings) > 0
}

func (s *suite) endSpec(r ginkgo.SpecReport) {
	if dryRun() || s.store == nil {
		return
	}
	now := s.session.Swap(nil)
	if now == nil {
		s.check(s.neverBegan(r))
		return
	}
	now.mu.Lock()
	defer now.mu.Unlock()
	now.spec.Took = time.Since(now.spec.Started)
	now.spec.State, now.spec.Reason = now.end(r)
	s.check(now.folder.End(now.spec))
	s.check(s.refresh())
}

// end is the state of a spec that ran, and why.
//
// Only the spec's own body can break a promise: what fails in its set-up or
// clean-up, panics or runs out of time proves nothing about the site.
func (n *session) end(r ginkgo.SpecReport) (evidence.State, string) {
	unwaived := slices.ContainsFunc(n.spec.Findings, func(f evidence.Finding) bool { return f.Waiver == nil })
	switch {
	case r.State.Is(types.SpecStateInterrupted | types.SpecStateAborted):
		return evidence.Interrupted, "interrupted: " + r.Failure.Message
	case unwaived:
		return evidence.Failed, n.untested
	case n.untested != "":
		return evidence.CouldNotTest, n.untested
	case r.State.Is(types.SpecStateSkipped):
		return evidence.Skipped, r.Failure.Message
	case r.State.Is(types.SpecStatePassed) && len(n.spec.Findings) > 0:
		return evidence.Waived, ""
	case r.State.Is(types.SpecStatePassed):
		return evidence.Held, ""
	case r.State.Is(types.SpecStateFailed) && r.Failure.FailureNodeType.Is(types.NodeTypeIt|types.NodeTypeJustAfterEach):
		return evidence.Failed, r.Failure.Message
	}
	return evidence.CouldNotTest, fmt.Sprintf("%s in %s: %s", r.State, r.Failure.FailureNodeType, r.Failure.Message)
}

// neverBegan records a spec that did not run.
func (s *suite) neverBegan(r ginkgo.SpecReport) error {
	spec := s.specOf(r)
	spec.Started = clock().UTC()
	switch {
	case r.State.Is(types.SpecStatePending):
		spec.State, spec.Reason = evidence.Skipped, "it is not written yet"
	case r.Failure.Message != "":
		// An earlier spec of its container failed, so this one had no lab to ask.
		spec.State, spec.Reason = evidence.CouldNotTest, r.Failure.Message
	case s.leftOut(spec.Labels):
		spec.State, spec.Reason = evidence.Skipped, evidence.FilteredOut
	default:
		spec.State, spec.Reason = evidence.Interrupted, "the run ended before it: interrupted, out of time, or told to stop at the first failure"
	}
	folder, err := s.store.Begin(spec)
	if err != nil {
		return err
	}
	return folder.End(spec)
}

// leftOut says whether a spec that did not run was not asked for. Where ginkgo
// chose by text or by file it cannot be told, and the specs that were planned
// and are missing are counted instead.
func (s *suite) leftOut(labels []string) bool {
	config, _ := ginkgo.GinkgoConfiguration()
	if len(config.FocusStrings)+len(config.SkipStrings)+len(config.FocusFiles)+len(config.SkipFiles) > 0 {
		return true
	}
	if config.LabelFilter == "" {
		return false
	}
	filter, err := types.ParseLabelFilter(config.LabelFilter)
	return err != nil || !filter(labels)
}
