// Package trial puts probes on trial: in labs in which the right answer is
// known, and with their own code made wrong. It has tests only, and they run
// under the ginkgo command (make e2e), since they need namespaces.
package trial
