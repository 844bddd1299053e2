package flow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	cryptossh "golang.org/x/crypto/ssh"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Where the nodes keep what they are known by.
const (
	hostKeyFile     = "/etc/ssh/ssh_host_ed25519_key.pub"
	certificateFile = "/etc/proxmox-backup/proxy.pem"
)

// known is what a node's own files say of a service: the key that it must
// show.
type known struct {
	key   []byte // a host key as it is sent, or a certificate's SHA-256
	doubt string // why it is not known
}

// knownKey reads the node's file once.
func (s *station) knownKey(ctx context.Context, file string) known {
	s.mu.Lock()
	k, ok := s.identities[file]
	s.mu.Unlock()
	if ok {
		return k
	}
	content, err := get(ctx, s.node, file)
	if err != nil {
		k.doubt = fmt.Sprintf("who answered can't be told: %v", err)
	} else if k.key, err = keyOf(file, content); err != nil {
		k.doubt = fmt.Sprintf("who answered can't be told: %s:%s: %v", s.name, file, err)
	}
	if ctx.Err() == nil {
		s.mu.Lock()
		s.identities[file] = k
		s.mu.Unlock()
	}
	return k
}

func keyOf(file string, content []byte) ([]byte, error) {
	if file == hostKeyFile {
		key, _, _, _, err := cryptossh.ParseAuthorizedKey(content)
		if err != nil {
			return nil, err
		}
		return key.Marshal(), nil
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in it")
	}
	sum := sha256.Sum256(block.Bytes)
	return sum[:], nil
}

func get(ctx context.Context, node topology.Node, path string) ([]byte, error) {
	r, err := node.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, 1<<20))
	return content, errors.Join(err, r.Close())
}

// identify asks who is at the other end of a connection. Which question is
// asked depends on what should be there: our own listener says a word that
// nobody else knows, SSH shows a host key, PBS a certificate.
func identify(ctx context.Context, c net.Conn, f Flow, target *station, word []byte) identity {
	switch {
	case word != nil:
		return identifyOurs(c, word)
	case f.Service.Name == "ssh":
		return identifySSH(c, target.knownKey(ctx, hostKeyFile))
	case f.Service.Name == "pbs":
		return identifyTLS(ctx, c, target.knownKey(ctx, certificateFile))
	}
	return identity{text: "a service of " + f.To}
}

func identifyOurs(c net.Conn, word []byte) identity {
	said := make([]byte, len(word))
	n, err := io.ReadFull(c, said)
	if err == nil && bytes.Equal(said, word) {
		return identity{checked: true, right: true, text: "the harness's listener"}
	}
	return identity{checked: true, text: fmt.Sprintf("something that says %s", quote(said[:n]))}
}

// identifySSH goes as far as the host key and no further: no user, no login.
func identifySSH(c net.Conn, want known) identity {
	var shown cryptossh.PublicKey
	seen := errors.New("seen enough")
	banner := &tee{Conn: c}
	_, _, _, err := cryptossh.NewClientConn(banner, "", &cryptossh.ClientConfig{
		HostKeyAlgorithms: []string{cryptossh.KeyAlgoED25519},
		HostKeyCallback: func(_ string, _ net.Addr, key cryptossh.PublicKey) error {
			shown = key
			return seen
		},
	})
	said := banner.line()
	if shown == nil {
		if strings.HasPrefix(said, "Not allowed at this time") {
			return identity{doubt: "sshd refuses this address for a while (PerSourcePenalties): " + said}
		}
		if strings.HasPrefix(said, "SSH-2.0-") {
			return identity{checked: true, text: fmt.Sprintf("%s without an ed25519 host key (%v)", said, err)}
		}
		return identity{checked: true, text: "something that says " + quote([]byte(said))}
	}
	id := identity{checked: true, text: said + " " + cryptossh.FingerprintSHA256(shown), doubt: want.doubt}
	id.right = bytes.Equal(shown.Marshal(), want.key)
	return id
}

// tee remembers how a peer introduced itself.
type tee struct {
	net.Conn
	head []byte
}

func (t *tee) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if len(t.head) < 256 {
		t.head = append(t.head, b[:n]...)
	}
	return n, err
}

func (t *tee) line() string {
	line, _, _ := bytes.Cut(t.head, []byte("\n"))
	return strings.TrimSpace(strings.ToValidUTF8(string(line[:min(len(line), 255)]), "?"))
}

// identifyTLS compares the certificate by its fingerprint, as PBS's own
// clients do; neither its chain nor its name counts, and no name is sent.
func identifyTLS(ctx context.Context, c net.Conn, want known) identity {
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // compared by fingerprint below
	if err := client.HandshakeContext(ctx); err != nil {
		return identity{checked: true, text: fmt.Sprintf("something that speaks no TLS (%v)", err)}
	}
	sum := sha256.Sum256(client.ConnectionState().PeerCertificates[0].Raw)
	id := identity{checked: true, text: "PBS, TLS " + colons(sum[:]), doubt: want.doubt}
	id.right = bytes.Equal(sum[:], want.key)
	if !id.right {
		id.text = "TLS " + colons(sum[:])
	}
	return id
}

// colons writes a fingerprint as PBS does.
func colons(sum []byte) string {
	digits := hex.EncodeToString(sum)
	var out strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(digits[i : i+2])
	}
	return out.String()
}

func quote(said []byte) string {
	if len(said) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%q", said[:min(len(said), 60)])
}
