// Package conformance is the suite that every driver passes: what a node can
// be asked, what a lab never does to the machine it runs on, and what is left
// of it when it ends.
//
// It brings up small sites of its own, so it tests the driver and nothing
// else. It runs through ginkgo alone; plain go test skips it.
package conformance
