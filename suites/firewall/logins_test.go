package firewall_test

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/flow"
	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("who may log in", func() {
	for _, login := range harness.Site().Promises.Logins {
		It(login.Text+": the right password is refused", func(ctx SpecContext) {
			harness.Promise("logins")
			subject := login.User + " at " + login.Node
			harness.Subject(subject)
			lab := harness.NewLab(ctx)
			from := sshWay(login.Node)
			password := setPassword(ctx, lab, login)
			conn := dial(ctx, lab, from)
			client := &ssh.ClientConfig{
				User:            login.User,
				HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // who the server is was judged by the matrix
				Auth: []ssh.AuthMethod{
					ssh.Password(password),
					ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
						answers := make([]string, len(questions))
						for i := range answers {
							answers[i] = password
						}
						return answers, nil
					}),
				},
			}
			_, _, _, err := ssh.NewClientConn(conn, login.Node, client)
			harness.Judged(1)
			if err != nil {
				Expect(err).To(MatchError(ContainSubstring("unable to authenticate")), "the server was not asked")
				return
			}
			harness.Report(evidence.Finding{
				Promise: "logins", Title: login.Text, Flow: subject,
				Expected: "password refused", Seen: "password accepted",
				Cause:  login.Node + ":/etc/ssh/sshd_config lets " + login.User + " in by password",
				Change: "PermitRootLogin prohibit-password and PasswordAuthentication no in /etc/ssh/sshd_config.d/",
				Node:   login.Node, At: login.At,
			})
		}, SpecTimeout(time.Minute))

		It(login.Text+": the right key opens", func(ctx SpecContext) {
			harness.Promise("logins")
			client, from := keyHolder(login.Node)
			r, err := onNode(harness.NewLab(ctx), client).Run(ctx, topology.Command{Argv: append(sshCommand(from), login.User+"@"+from.Address.String(), "hostname")})
			Expect(err).NotTo(HaveOccurred())
			Expect(string(r.Stderr)).NotTo(ContainSubstring("REMOTE HOST IDENTIFICATION"))
			Expect(strings.TrimSpace(string(r.Stdout))).To(Equal(login.Node), string(r.Stderr))
			harness.Judged(1)
		}, SpecTimeout(time.Minute))
	}
})

// sshWay is a flow by which SSH at the node may be reached.
func sshWay(node string) flow.Flow {
	GinkgoHelper()
	for _, r := range flow.Matrix(harness.Site()) {
		if r.Want == flow.WantOpen && r.Flow.To == node && r.Flow.Service.Name == "ssh" && r.Flow.Family == flow.IPv4 {
			return r.Flow
		}
	}
	harness.CouldNotTest("promises.reach opens ssh at %s to nobody over IPv4", node)
	return flow.Flow{}
}

// keyHolder is a node that has a key of its own and a way to the node's SSH.
func keyHolder(node string) (string, flow.Flow) {
	GinkgoHelper()
	for _, r := range flow.Matrix(harness.Site()) {
		if r.Want != flow.WantOpen || r.Flow.To != node || r.Flow.Service.Name != "ssh" || r.Flow.Family != flow.IPv4 {
			continue
		}
		if m, ok := harness.Site().Machine(r.Flow.From); ok && hasKey(m) {
			return m.Name, r.Flow
		}
	}
	Skip("no node of the site has a key of its own in /root/.ssh and a way to ssh at " + node)
	return "", flow.Flow{}
}

func hasKey(m *topology.Machine) bool {
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		if _, ok := m.File("/root/.ssh/" + name); ok {
			return true
		}
	}
	return false
}

// sshCommand is OpenSSH's client with nothing to ask.
func sshCommand(f flow.Flow) []string {
	return []string{"ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10", "-p", fmt.Sprint(f.Service.Port)}
}

// setPassword gives the user a password that only this spec knows. It goes in
// by standard input.
func setPassword(ctx context.Context, lab topology.Lab, login topology.Login) string {
	GinkgoHelper()
	raw := make([]byte, 20)
	_, _ = rand.Read(raw)
	password := base32.StdEncoding.EncodeToString(raw)
	r, err := onNode(lab, login.Node).Run(ctx, topology.Command{
		Argv: []string{"chpasswd"}, Stdin: strings.NewReader(login.User + ":" + password + "\n"),
	})
	Expect(err).NotTo(HaveOccurred())
	if r.Exit != 0 {
		harness.CouldNotTest("set a password of %s at %s: %s", login.User, login.Node, r.Stderr)
	}
	return password
}

func dial(ctx context.Context, lab topology.Lab, f flow.Flow) net.Conn {
	GinkgoHelper()
	conn, err := onNode(lab, f.From).Dial(ctx, "tcp", net.JoinHostPort(f.Address.String(), fmt.Sprint(f.Service.Port)))
	if err != nil {
		harness.CouldNotTest("%s: %v", f, err)
	}
	DeferCleanup(func() error {
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		return nil
	})
	return conn
}

func onNode(lab topology.Lab, name string) topology.Node {
	GinkgoHelper()
	n, err := lab.Node(name)
	Expect(err).NotTo(HaveOccurred())
	return n
}
