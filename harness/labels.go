package harness

import (
	"fmt"
	"slices"
	"strings"
)

// labels is every label that a spec may carry. A misspelt one would be
// filtered out, or kept, without a word.
var labels = []string{
	// Suites: promises that hold at rest.
	"firewall", "tunnel", "backup", "sync", "retention", "restore", "tenancy", "notify", "conformance",
	// Drills: promises that hold under harm.
	"reboot", "tunnelloss", "siteloss", "ransomware", "keyloss", "offboarding",
	// Cost and need.
	"slow",        // waits on real time
	"destructive", // changes a host that is not ours
	"realhost",    // makes sense only outside a lab
	"Serial",      // ginkgo's own, for specs that it decorates so
}

// strange says which labels are not in the list, "" if all are.
func strange(used []string) string {
	for _, label := range used {
		if !slices.Contains(labels, label) {
			return fmt.Sprintf("label %q is not known; known are %s", label, strings.Join(labels, ", "))
		}
	}
	return ""
}
