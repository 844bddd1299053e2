package child_test

import (
	"os"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology/netns/child"
)

func TestEveryExitIsTold(t *testing.T) {
	g := NewWithT(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = null.Close() }()
	r := child.NewReaper()
	start := func(line string) <-chan syscall.WaitStatus {
		_, exited, err := r.Start(child.Spec{Path: "/bin/sh", Argv: []string{"sh", "-c", line}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}})
		g.Expect(err).NotTo(HaveOccurred())
		return exited
	}
	for range 3 { // again after there was nothing to wait for
		codes := map[int]<-chan syscall.WaitStatus{}
		for code := range 20 {
			codes[code] = start("exit " + string(rune('0'+code/10)) + string(rune('0'+code%10)))
		}
		for code, exited := range codes {
			status := <-exited
			g.Expect(status.ExitStatus()).To(Equal(code))
		}
	}
	killed := <-start("kill -TERM $$")
	g.Expect(killed.Signal()).To(Equal(syscall.SIGTERM))
	_, _, err = r.Start(child.Spec{Path: "/no/such/program", Argv: []string{"x"}})
	g.Expect(err).To(MatchError(os.ErrNotExist))
}
