// Package harness is what a suite speaks. It starts a suite, gives it the site
// and labs of it, and keeps what its specs find.
//
//	func TestFirewall(t *testing.T) { harness.RunSuite(t, "firewall", harness.Minimum(400)) }
//
//	var _ = Describe("the tunnel", func() {
//		It("is no stepping stone", func(ctx SpecContext) {
//			lab := harness.NewLab(ctx)
//			…
//			harness.Rows(judged...)
//			harness.Report(findings...)
//		})
//	})
//
// A spec reports; the harness decides. It fails a spec that has a finding
// which no waiver covers, a flow that is not as promised, or one of which
// nothing could be told. How a spec ended is one of evidence's states, and
// what a run comes to is evidence.Conclude's to say: Ginkgo only knows zero
// and non-zero, so the code is printed last.
//
// A run's processes share its folder:
//
//	process 1: ReportBeforeSuite makes it ── SynchronizedBeforeSuite ──> all
//	each spec: ReportBeforeEach begins its record, JustAfterEach collects and
//	           decides, ReportAfterEach ends it
//	process 1: ReportAfterSuite ends the run and writes the report
//
// Only this package and the suites know Ginkgo.
package harness
