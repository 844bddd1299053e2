package firewall_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

// The way to a server's interface that no firewall rule opens: through SSH, to
// the server's own loopback.
var _ = Describe("the interface is reached through an SSH forward", func() {
	for _, m := range harness.Site().Nodes {
		if m.Role != topology.RoleBackupServer {
			continue
		}
		It("ssh -L 8007:localhost:8007 root@"+m.Name, func(ctx SpecContext) {
			harness.Promise("reach")
			client, way := keyHolder(m.Name)
			lab := harness.NewLab(ctx)
			forward(ctx, lab, client, way)
			conn := tls.Client(eventuallyDial(ctx, onNode(lab, client)), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // compared by fingerprint below
			DeferCleanup(conn.Close)
			Expect(conn.HandshakeContext(ctx)).To(Succeed())
			block, _ := pem.Decode(read(ctx, onNode(lab, m.Name), "/etc/proxmox-backup/proxy.pem"))
			Expect(block).NotTo(BeNil())
			Expect(conn.ConnectionState().PeerCertificates[0].Raw).To(Equal(block.Bytes), "another server answered")
			harness.Judged(1)
		}, SpecTimeout(time.Minute))
	}
})

func forward(ctx context.Context, lab topology.Lab, client string, way flow.Flow) {
	GinkgoHelper()
	argv := append(sshCommand(way), "-N", "-o", "ExitOnForwardFailure=yes", "-L", "8007:localhost:8007", "root@"+way.Address.String())
	p, err := harness.Needs[topology.Starter](onNode(lab, client)).Start(ctx, topology.Command{Argv: argv})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(p.Kill)
}

func eventuallyDial(ctx context.Context, from topology.Node) net.Conn {
	GinkgoHelper()
	var conn net.Conn
	Eventually(ctx, func(ctx context.Context) (err error) {
		conn, err = from.Dial(ctx, "tcp", "127.0.0.1:8007")
		if err != nil {
			return fmt.Errorf("the forward does not listen yet: %w", err)
		}
		return nil
	}).WithTimeout(15 * time.Second).WithPolling(20 * time.Millisecond).Should(Succeed())
	return conn
}
