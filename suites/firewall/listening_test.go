package firewall_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// The matrix asks about the services that somebody thought of. This asks the
// node what it listens on, and then everybody else whether they can reach it.
var _ = Describe("what listens is reached by nobody who was not promised it", func() {
	for _, node := range filtered(harness.Site()) {
		It("at "+node, func(ctx SpecContext) {
			harness.Promise("reach")
			lab := harness.SharedLab(ctx)
			unknown := slices.DeleteFunc(listening(ctx, onNode(lab, node)), known)
			if len(unknown) == 0 {
				harness.Judged(1)
				return
			}
			var rows []flow.Row
			for _, r := range closed(flow.Matrix(harness.Site())) {
				if r.Flow.To != node || r.Flow.Service.Name != "ping" {
					continue
				}
				for _, service := range unknown {
					r.Flow.Service = service
					rows = append(rows, r)
				}
			}
			harness.Judge(ctx, lab, "what listens at "+node+" is reached by nobody who was not promised it", rows...)
		}, SpecTimeout(2*time.Minute))
	}
})

// known says whether the matrix has asked about the service already.
func known(s topology.Service) bool {
	return slices.ContainsFunc(harness.Site().Services, func(k topology.Service) bool {
		return k.Protocol == s.Protocol && k.Port == s.Port
	})
}

// listening are the node's sockets that listen on more than its loopback.
func listening(ctx context.Context, node topology.Node) []topology.Service {
	GinkgoHelper()
	var out []topology.Service
	for line := range strings.Lines(output(ctx, node, "ss", "-Htuln")) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			harness.CouldNotTest("%s: ss prints what is not understood: %q", node.Name(), line)
		}
		host, port, ok := cutPort(fields[4])
		if !ok {
			harness.CouldNotTest("%s: ss prints what is not understood: %q", node.Name(), line)
		}
		if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
			continue
		}
		s := topology.Service{Name: fmt.Sprintf("%s/%d", fields[0], port), Protocol: fields[0], Port: port}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// cutPort splits what ss prints: *:22, 0.0.0.0:22, [::]:22, 127.0.0.1%lo:22.
func cutPort(address string) (host string, port uint16, ok bool) {
	i := strings.LastIndex(address, ":")
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(address[i+1:], 10, 16)
	host, _, _ = strings.Cut(strings.Trim(address[:i], "[]"), "%")
	return host, uint16(n), err == nil
}
