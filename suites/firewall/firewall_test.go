package firewall_test

import (
	"testing"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"

	_ "github.com/pbsdrill/pbsdrill/fixtures/standins"
)

func TestFirewall(t *testing.T) {
	// The whole matrix, and nothing less: a flow that was left out is a hole.
	harness.RunSuite(t, "firewall", harness.MinimumOf(func(site *topology.Site) int { return len(flow.Matrix(site)) }))
}
