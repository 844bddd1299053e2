package netns

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/pbsdrill/pbsdrill/topology/netns/child"
)

// translate makes this node the provider's or the owner's router.
func (a *agent) translate(q configureRequest) error {
	if q.NAT == "" {
		return nil
	}
	a.boot.mu.Lock()
	a.boot.nat = q
	a.boot.mu.Unlock()
	if out, err := a.pipe(q.NAT, "/usr/sbin/nft", "-f", "-"); err != nil {
		return fmt.Errorf("translate addresses: %w: %s", err, bytes.TrimSpace(out))
	}
	if q.UDPTimeout == 0 {
		return nil
	}
	for _, name := range []string{"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"} {
		if err := writeSysctl("net/netfilter/"+name, strconv.Itoa(q.UDPTimeout)); err != nil {
			return err
		}
	}
	return nil
}

// translateAgain puts the router's table back where the node's own rules have
// removed it, and leaves it alone where they have not.
func (a *agent) translateAgain(q configureRequest) error {
	if q.NAT == "" {
		return nil
	}
	if _, err := a.pipe("", "/usr/sbin/nft", "list", "table", "inet", "pbsdrill_router"); err == nil {
		return nil
	}
	return a.translate(q)
}

// pipe runs a short command with an input and gives what it printed.
func (a *agent) pipe(input string, argv ...string) ([]byte, error) {
	in, err := scratch(input)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	out, err := scratch("")
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	_, exited, err := a.children.Start(child.Spec{
		Path: argv[0], Argv: argv, Dir: "/", Env: nodeEnv,
		Files: []uintptr{in.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	status := <-exited
	printed, err := io.ReadAll(io.NewSectionReader(out, 0, streamLimit))
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: exit %d", argv[0], exitReply(status).Exit)
	}
	return printed, err
}

// scratch is a file that has no name and goes with its descriptor.
func scratch(content string) (*os.File, error) {
	f, err := os.CreateTemp("/run", "pbsdrill-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
