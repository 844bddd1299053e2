package netns

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/openwall/yescrypt-go"
	"golang.org/x/crypto/ssh"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// secrets makes the values of a lab's placeholders, each when it is first asked
// for, and keeps them for the lab's life.
type secrets struct {
	mu     sync.Mutex
	values map[string]string
	tell   func(secret string)
	err    error
}

func newSecrets(tell func(string)) *secrets {
	if tell == nil {
		tell = func(string) {}
	}
	return &secrets{values: map[string]string{}, tell: tell}
}

// value is what stands for @{name}. It is false for a kind that does not
// exist; the loader has refused those.
func (s *secrets) value(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[name]; ok {
		return v, true
	}
	if err := s.make(name); err != nil {
		s.err = err
		return "", false
	}
	v, ok := s.values[name]
	return v, ok
}

func (s *secrets) make(name string) error {
	kind, rest, _ := strings.Cut(name, ".")
	owner, part, _ := cutLast(rest, ".")
	switch kind {
	case "wg":
		return s.wireGuard(owner)
	case "psk":
		return s.preshared(rest)
	case "password":
		s.values[name] = token(18)
		s.tell(s.values[name])
		return nil
	case "hash":
		return s.hash(rest)
	case "ssh":
		return s.sshUser(owner)
	case "pbs":
		if part == "fingerprint" {
			return s.certificate(owner)
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// token is n random bytes as text that needs quoting nowhere.
func token(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *secrets) wireGuard(owner string) error {
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		return fmt.Errorf("make a WireGuard key: %w", err)
	}
	s.values["wg."+owner+".private"] = key.String()
	s.values["wg."+owner+".public"] = key.PublicKey().String()
	s.tell(key.String())
	return nil
}

// preshared makes one key for two nodes, whichever is named first.
func (s *secrets) preshared(pair string) error {
	key, err := wgtypes.GenerateKey()
	if err != nil {
		return fmt.Errorf("make a preshared key: %w", err)
	}
	s.tell(key.String())
	names := strings.Split(pair, ".")
	s.values["psk."+pair] = key.String()
	if len(names) == 2 {
		s.values["psk."+names[1]+"."+names[0]] = key.String()
	}
	return nil
}

// hash is the crypt(5) hash of a password, by yescrypt as Debian 13 does, with
// the smallest cost: the password is random and lives as long as the lab.
func (s *secrets) hash(name string) error {
	if _, ok := s.values["password."+name]; !ok {
		s.values["password."+name] = token(18)
		s.tell(s.values["password."+name])
	}
	const smallest = "$y$j75$"
	h, err := yescrypt.Hash([]byte(s.values["password."+name]), []byte(smallest+cryptSalt()))
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	s.values["hash."+name] = string(h)
	s.tell(string(h))
	return nil
}

// cryptSalt is 16 random characters of crypt(5)'s own alphabet.
func cryptSalt() string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&63]
	}
	return string(b)
}

func (s *secrets) sshUser(owner string) error {
	private, public, err := sshKey("root@" + owner)
	if err != nil {
		return err
	}
	s.values["ssh."+owner+".private"] = private
	s.values["ssh."+owner+".public"] = strings.TrimSpace(public)
	s.tell(private)
	return nil
}

// hostKey is a node's SSH host key: ssh_host_ed25519_key and its .pub.
func (s *secrets) hostKey(node string) (private, public string, err error) {
	private, public, err = sshKey("root@" + node)
	if err == nil {
		s.tell(private)
	}
	return private, public, err
}

func sshKey(comment string) (private, public string, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return "", "", fmt.Errorf("encode an SSH key: %w", err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", fmt.Errorf("encode an SSH key: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub))) + " " + comment + "\n"
	return string(pem.EncodeToMemory(block)), line, nil
}

// certificate makes a PBS node's proxy.pem and proxy.key, so that its
// fingerprint is known before it boots, as it is to whoever typed it into a
// remote. PBS makes RSA 4096 with a subject of its own; an ECDSA key takes
// microseconds instead of seconds, and clients look at the fingerprint alone.
func (s *secrets) certificate(node string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", node, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{Organization: []string{"Proxmox Backup Server"}, CommonName: node},
		DNSNames:     []string{node, "localhost"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", node, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", node, err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	s.values["pbs."+node+".certificate"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s.values["pbs."+node+".key"] = private
	s.values["pbs."+node+".fingerprint"] = fingerprint(der)
	s.tell(private)
	return nil
}

// fingerprint is how PBS prints one: SHA-256 of the certificate, in pairs.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(pairs, ":")
}
