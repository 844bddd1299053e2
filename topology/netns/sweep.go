package netns

import (
	"context"
	"os"

	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// RemoveRoot removes a folder of the cache of root file systems. Its files may
// belong to ids that only a user namespace may touch.
func RemoveRoot(ctx context.Context, dir string) error {
	o := rootfs.Options{}
	if os.Geteuid() != 0 {
		o.Enter = enterAndWait
	}
	return rootfs.Remove(ctx, o, dir)
}
