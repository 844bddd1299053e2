package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// Root finds or makes the root file system that a site's nodes run on.
func Root(ctx context.Context, site *topology.Site, progress func(string)) (rootfs.Root, error) {
	o := rootfs.Options{Source: site.RootFS, Progress: progress}
	ids := idsOf(os.Geteuid())
	switch {
	case os.Geteuid() == 0:
		o.IDs = []rootfs.IDMap{{Inside: 0, Outside: shiftedBase, Count: rangeSize}}
	case ids.Single == nil:
		o.Enter = enterAndWait
	case site.RootFS == "":
		return rootfs.Compose(ctx, o) // building Debian takes a range
	default:
		o.IDs = []rootfs.IDMap{{Inside: 0, Outside: uint32(os.Geteuid()), Count: 1}}
	}
	return rootfs.Ensure(ctx, o)
}

// enterAndWait runs this binary under another name as uid 0 of a user
// namespace with the ids of a lab.
func enterAndWait(ctx context.Context, argv0 string, args []string, stdin io.Reader) error {
	in, feed, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	log, stderr, err := newTail()
	if err != nil {
		return errors.Join(err, in.Close(), feed.Close())
	}
	p, err := enter(append([]string{argv0}, args...), unix.CLONE_NEWNS, [3]*os.File{in, stderr, stderr})
	_, _ = in.Close(), stderr.Close()
	if err != nil {
		return errors.Join(err, feed.Close(), log.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() })
	defer stop()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if stdin != nil {
			_, _ = io.Copy(feed, stdin)
		}
		_ = feed.Close()
	}()
	state, err := p.Wait()
	<-fed
	_ = log.Close()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("run %s: %w", argv0, err)
	case !state.Success():
		return fmt.Errorf("%s: %s: %s", argv0, state, bytes.TrimSpace([]byte(log.String())))
	}
	return nil
}
