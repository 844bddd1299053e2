package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/onsi/ginkgo/v2"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// probers watch the labs of this process, one each, from the first question on.
var probers = struct {
	sync.Mutex
	of map[topology.Lab]*flow.Prober
}{of: map[topology.Lab]*flow.Prober{}}

// Prober is the prober of a lab. It stops watching before the lab goes.
func Prober(ctx context.Context, lab topology.Lab) *flow.Prober {
	ginkgo.GinkgoHelper()
	probers.Lock()
	defer probers.Unlock()
	if p, ok := probers.of[lab]; ok {
		return p
	}
	p, err := flow.NewProber(ctx, lab, flow.Options{Seed: runSeed()})
	if err != nil {
		CouldNotTest("watch the lab's nodes: %v", err)
	}
	probers.of[lab] = p
	if lab != self.labs.shared.lab {
		ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error {
			probers.Lock()
			delete(probers.of, lab)
			probers.Unlock()
			return p.Close(ctx)
		}, ginkgo.NodeTimeout(downWithin))
	}
	return p
}

// Probe asks about flows and keeps the answers as evidence.
func Probe(ctx context.Context, lab topology.Lab, flows ...flow.Flow) []flow.Probe {
	ginkgo.GinkgoHelper()
	prober := Prober(ctx, lab)
	probes, err := prober.Probe(ctx, flows...)
	if err != nil {
		CouldNotTest("probe: %v", err)
	}
	folder := Evidence()
	for _, p := range probes {
		if err := folder.Flow(p); err != nil {
			CouldNotTest("keep the evidence: %v", err)
		}
	}
	return probes
}

// Judge asks about every row and tells what is not as promised.
func Judge(ctx context.Context, lab topology.Lab, title string, rows ...flow.Row) []flow.Probe {
	ginkgo.GinkgoHelper()
	flows := make([]flow.Flow, len(rows))
	for i, r := range rows {
		flows[i] = r.Flow
	}
	probes := Probe(ctx, lab, flows...)
	var broken []flow.Probe
	for i, p := range probes {
		Rows(RowOf(rows[i], p))
		if p.Saw == flow.Unknown || rows[i].Want.Met(p.Saw) {
			continue
		}
		broken = append(broken, p)
		Report(finding(title, rows[i], p))
	}
	if len(broken) > 0 {
		capture(ctx, lab, broken)
	}
	return probes
}

// capture keeps the packets of probes that went wrong.
func capture(ctx context.Context, lab topology.Lab, probes []flow.Probe) {
	ginkgo.GinkgoHelper()
	w, err := Evidence().Capture(unused(Evidence(), "packets", ".pcapng"))
	if err == nil {
		err = Prober(ctx, lab).WritePcap(w, probes...)
		if cerr := w.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		CouldNotTest("keep the packets: %v", err)
	}
}

// unused is a name that the folder does not have yet: a spec may judge twice.
func unused(folder *evidence.Folder, base, ending string) string {
	name := base + ending
	for n := 2; ; n++ {
		if _, err := os.Stat(filepath.Join(folder.Path(), name)); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d%s", base, n, ending)
	}
}

func finding(title string, r flow.Row, p flow.Probe) evidence.Finding {
	cause, change := flow.Explain(self.site, p, r)
	detail := p.Identity
	if detail == "" || p.Saw != flow.Open {
		detail = p.Why
	}
	return evidence.Finding{
		Promise: r.Promise, Title: title, Flow: p.Flow.String(), Address: endpoint(p.Flow),
		Expected: string(r.Want), Seen: string(p.Saw), Detail: detail, Cause: cause, Change: change, Node: p.Flow.To, At: r.At,
	}
}

// endpoint is the flow's target as people type it: [2001:db8:20::1]:8007.
func endpoint(f flow.Flow) string {
	if f.Service.Port == 0 {
		return f.Address.String()
	}
	return net.JoinHostPort(f.Address.String(), strconv.Itoa(int(f.Service.Port)))
}
