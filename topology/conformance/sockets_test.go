package conformance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("a node's sockets", Ordered, func() {
	var lab topology.Lab

	BeforeAll(func(ctx SpecContext) { lab = raise(ctx, house(nil)) }, NodeTimeout(time.Minute))

	DescribeTable("reach the other node, used from here", func(ctx SpecContext, from, address, listen string) {
		l, err := on(lab, "b").(topology.Sockets).Listen(ctx, "tcp", listen)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, _ = io.WriteString(c, "from "+c.RemoteAddr().(*net.TCPAddr).IP.String())
				_ = c.Close()
			}
		}()
		c, err := on(lab, from).Dial(ctx, "tcp", address)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(c.Close)
		Expect(io.ReadAll(c)).To(BeEquivalentTo("from " + c.LocalAddr().(*net.TCPAddr).IP.String()))
	},
		Entry("over IPv4, on a port below 1024", "a", "10.0.0.2:80", ":80", SpecTimeout(20*time.Second)),
		Entry("over IPv6", "a", "[fd00:1::2]:8080", "[::]:8080", SpecTimeout(20*time.Second)),
		Entry("through the router", "c", "10.0.0.2:8081", ":8081", SpecTimeout(20*time.Second)),
	)

	It("keep the errno of a refusal", func(ctx SpecContext) {
		_, err := on(lab, "a").Dial(ctx, "tcp", "10.0.0.2:4000")
		Expect(errors.Is(err, syscall.ECONNREFUSED)).To(BeTrue(), "%v", err)
	}, SpecTimeout(20*time.Second))

	It("keep the errno of an address in use", func(ctx SpecContext) {
		b := on(lab, "b").(topology.Sockets)
		l, err := b.Listen(ctx, "tcp", ":4001")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		_, err = b.Listen(ctx, "tcp", ":4001")
		Expect(errors.Is(err, syscall.EADDRINUSE)).To(BeTrue(), "%v", err)
	}, SpecTimeout(20*time.Second))

	It("give up when the context ends", func(ctx SpecContext) {
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := on(lab, "outside").Dial(short, "tcp", "203.0.113.1:22") // the router lets nothing in
		Expect(err).To(MatchError(context.DeadlineExceeded))
	}, SpecTimeout(20*time.Second))

	It("go out through the router's one address, and nothing comes in", func(ctx SpecContext) {
		l, err := on(lab, "outside").(topology.Sockets).Listen(ctx, "tcp", ":443")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		seen := make(chan string, 1)
		go func() {
			if c, err := l.Accept(); err == nil {
				seen <- c.RemoteAddr().(*net.TCPAddr).IP.String()
				_ = c.Close()
			}
		}()
		c, err := on(lab, "a").Dial(ctx, "tcp", "198.51.100.1:443")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(c.Close)
		Eventually(ctx, seen).Should(Receive(Equal("203.0.113.1")))
		Expect(sh(ctx, on(lab, "outside"), "ip route add 10.0.0.0/24 via 203.0.113.1 dev eth0 onlink && ping -c1 -W1 10.0.0.1").Exit).NotTo(BeZero())
	}, SpecTimeout(30*time.Second))

	It("list the interfaces with the site's names", func(ctx SpecContext) {
		is, err := on(lab, "a").(topology.Interfaces).Interfaces(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(is).To(HaveLen(2))
		Expect(is[1].Name).To(Equal("eth0"))
		Expect(is[1].Network).To(Equal("lan"))
		Expect(is[1].Addresses).To(ContainElement(HaveField("String()", "fd00:1::1/64")))
	}, SpecTimeout(20*time.Second))
})
