package harness

import (
	"context"
	"maps"
	"slices"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// Options is what a driver is given beside the site.
type Options struct {
	Recorder topology.Recorder // told of every command that a node ran
	Secret   func(string)      // told each secret before it is used
	Progress func(string)      // told what is going on, a line at a time
	Mark     string            // in the lab's processes' names
}

// Up brings a site up. A lab that comes with an error is taken down by the
// caller.
type Up func(ctx context.Context, site *topology.Site, o Options) (topology.Lab, error)

// drivers are the drivers by the name that site.yaml gives.
var drivers = map[string]Up{"netns": upNetns}

func driverNames() []string { return slices.Sorted(maps.Keys(drivers)) }

func upNetns(ctx context.Context, site *topology.Site, o Options) (topology.Lab, error) {
	lab, err := netns.Up(ctx, site, netns.Options{Recorder: o.Recorder, Secret: o.Secret, Progress: o.Progress, Mark: o.Mark})
	if lab == nil {
		return nil, err // not a nil *netns.Lab in an interface
	}
	return lab, err
}
