package conformance_test

import (
	"bytes"
	"context"
	"io/fs"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("a node runs commands", Ordered, func() {
	var node topology.Node

	BeforeAll(func(ctx SpecContext) { node = on(raise(ctx, house(nil)), "a") }, NodeTimeout(time.Minute))

	It("tells output, exit code and how long it took", func(ctx SpecContext) {
		r := sh(ctx, node, "echo out; echo err >&2; exit 3")
		Expect(string(r.Stdout)).To(Equal("out\n"))
		Expect(string(r.Stderr)).To(Equal("err\n"))
		Expect(r.Exit).To(Equal(3))
		Expect(r.Duration).To(BeNumerically(">", 0))
	}, SpecTimeout(20*time.Second))

	It("tells the signal that ended one", func(ctx SpecContext) {
		r := sh(ctx, node, "kill -KILL $$")
		Expect(r.Signal).To(Equal("killed"))
		Expect(r.Exit).To(Equal(137))
	}, SpecTimeout(20*time.Second))

	It("says that a missing command did not run", func(ctx SpecContext) {
		_, err := node.Run(ctx, topology.Command{Argv: []string{"no-such-command"}})
		Expect(err).To(MatchError(fs.ErrNotExist))
	}, SpecTimeout(20*time.Second))

	It("passes input, environment, folder and arguments as they are", func(ctx SpecContext) {
		r, err := node.Run(ctx, topology.Command{
			Argv:  []string{"sh", "-c", `cat; pwd; echo "$GREETING"; printf '<%s>' "$@"`, "sh", "a b", "$(x)", ""},
			Stdin: strings.NewReader("in\n"), Env: []string{"GREETING=hi there"}, Dir: "/etc",
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(string(r.Stdout)).To(Equal("in\n/etc\nhi there\n<a b><$(x)><>"))
	}, SpecTimeout(20*time.Second))

	It("keeps the beginning of a large output and says that there was more", func(ctx SpecContext) {
		r := sh(ctx, node, "head -c 3000000 /dev/zero")
		Expect(r.Truncated).To(BeTrue())
		Expect(len(r.Stdout)).To(BeNumerically("<", 3000000))
		var all bytes.Buffer
		r, err := node.Run(ctx, topology.Command{Argv: []string{"head", "-c", "3000000", "/dev/zero"}, Stdout: &all})
		Expect(err).NotTo(HaveOccurred())
		Expect(r.Truncated).To(BeFalse())
		Expect(all.Len()).To(Equal(3000000))
	}, SpecTimeout(20*time.Second))

	It("ends a command, and what it started, when nobody waits any more", func(ctx SpecContext) {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		_, err := node.Run(short, topology.Command{Argv: []string{"sh", "-c", "sleep 4711 & wait"}})
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Eventually(ctx, func(ctx context.Context) string {
			return string(sh(ctx, node, "pgrep -f 'sleep 471[1]' || true").Stdout)
		}).Should(BeEmpty())
	}, SpecTimeout(20*time.Second))

	It("does not wait for a daemon that a command leaves behind", func(ctx SpecContext) {
		r := sh(ctx, node, "setsid sleep 60 & echo started")
		Expect(string(r.Stdout)).To(Equal("started\n"))
		Expect(r.Duration).To(BeNumerically("<", 10*time.Second))
	}, SpecTimeout(20*time.Second))

	It("runs several at once", func(ctx SpecContext) {
		results := make(chan string, 20)
		for range cap(results) {
			go func() {
				defer GinkgoRecover()
				results <- string(sh(ctx, node, "head -c 100000 /dev/zero | wc -c").Stdout)
			}()
		}
		for range cap(results) {
			Eventually(ctx, results).Should(Receive(Equal("100000\n")))
		}
	}, SpecTimeout(30*time.Second))
})
