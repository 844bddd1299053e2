package topology

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"strings"
)

// Secrets that were left in a site are searched by how they look and, where
// anything could be one, by where they stand. No message repeats any of them.

// secretForm is a secret that can be told by its looks, in any file. Group 1
// is the secret itself.
type secretForm struct {
	what    string
	form    *regexp.Regexp
	instead string
}

var secretForms = []secretForm{
	{"a WireGuard key",
		// Commented-out keys are keys too. 43 digits and a padding are 32 bytes.
		regexp.MustCompile(`(?mi)^[ \t#;]*(?:PrivateKey|PresharedKey)[ \t]*=[ \t]*([A-Za-z0-9+/]{43}=)`),
		"write @{wg.NODE.private}, or @{psk.A.B} for a preshared key"},
	{"a private key",
		regexp.MustCompile(`-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----`),
		"write @{ssh.NODE.private} for an SSH key; other keys are made by the lab"},
	{"a password's crypt hash",
		// crypt(5): MD5, bcrypt, SHA-256, SHA-512, scrypt, yescrypt, gost-yescrypt.
		regexp.MustCompile(`(\$(?:1|2[abxy]?|5|6|7|y|gy)\$[./A-Za-z0-9$=,]{22,})`),
		"write @{hash.NAME}"},
	{"an API token",
		regexp.MustCompile(`((?:PBS|PVE)APIToken[= ][^ \t\n'"{}]+[:=][0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})`),
		"write @{password.NAME} for the token's secret"},
	{"an API token",
		regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{20,}|AKIA[0-9A-Z]{16})\b`),
		"write @{password.NAME}"},
	{"a private key",
		regexp.MustCompile(`\b(AGE-SECRET-KEY-1[0-9A-Z]{58})\b`),
		"a site needs none; keep it where the escrowed keys are"},
	{"a password",
		regexp.MustCompile(`\b(?:PBS_PASSWORD|PBS_ENCRYPTION_PASSWORD)[ \t]*=[ \t]*["']?([^\s"'$@][^\s"']*)`),
		"write @{password.NAME}"},
}

// secretPlace is a kind of file in which a value is a secret whatever it looks
// like. Group 1 of value is the secret.
type secretPlace struct {
	what    string
	fits    func(name string) bool
	value   *regexp.Regexp
	instead string
}

// keyed is a line of PBS's and PVE's section files with a secret behind the key.
var keyed = regexp.MustCompile(`(?m)^[ \t]+(?:password|secret|token|secret-key|credentials)[ \t]+(\S.*)$`)

var secretPlaces = []secretPlace{
	{"a password", anyOf(like("/etc/proxmox-backup/remote.cfg"), like("/etc/proxmox-backup/*priv*.cfg"), like("/etc/proxmox-backup/metricserver.cfg"),
		like("/etc/proxmox-backup/s3.cfg"), below("/etc/pve/priv/"), like("/etc/pve/notifications*.cfg"), like("ldap_passwords.json")), keyed, "write @{password.NAME}"},
	{"a password", like("*.pw"), regexp.MustCompile(`(?m)^[ \t]*(\S.*)$`), "write @{password.NAME}"},
	{"a password hash", like("/etc/shadow*"), regexp.MustCompile(`(?m)^[^:\n#]+:([^:\n]*)`), "write @{hash.NAME}, or * for no password"},
	{"a password hash", like("/etc/gshadow*"), regexp.MustCompile(`(?m)^[^:\n#]+:([^:\n]*)`), "write @{hash.NAME}, or * for no password"},
	{"a password hash", anyOf(like("/etc/proxmox-backup/shadow.json"), like("token.shadow")), regexp.MustCompile(`"[^"\n]*"[ \t]*:[ \t]*"([^"\n]*)"`), "write @{hash.NAME}"},
	{"a PBS signing key", like("/etc/proxmox-backup/csrf.key"), regexp.MustCompile(`(?s)\A\s*(\S.*)\z`), "leave the file out; PBS makes it"},
	{"a WireGuard key", wireguardKeyFile, regexp.MustCompile(`(?m)^[ \t]*([A-Za-z0-9+/]{43}=)[ \t]*$`), "write @{wg.NODE.private}"},
	{"a preshared key", like("*.psk"), regexp.MustCompile(`(?m)^[ \t]*([0-9a-fA-F]{32,}|[A-Za-z0-9+/]{43}=)[ \t]*$`), "write @{psk.A.B} or @{password.NAME}"},
}

func anyOf(fits ...func(string) bool) func(string) bool {
	return func(name string) bool {
		for _, f := range fits {
			if f(name) {
				return true
			}
		}
		return false
	}
}

// wireguardKeyFile: what `wg genkey | tee vps-private.key` leaves behind; the
// public key beside it may stay.
func wireguardKeyFile(name string) bool {
	return strings.HasPrefix(name, "/etc/wireguard/") && !strings.Contains(strings.ToLower(path.Base(name)), "pub")
}

// secrets reports what was left in a file. Each place is reported once.
func (l *loader) secrets(f File, content []byte) {
	lines := map[int]bool{}
	left := func(what, instead string, offset int) {
		c := cursor{file: f.At.File, content: content}
		at := c.at(offset)
		if !lines[at.Line] {
			lines[at.Line] = true
			l.problem(at, "", "%s was left in the site: %s", what, instead)
		}
	}
	for _, s := range secretForms {
		for _, m := range s.form.FindAllSubmatchIndex(content, maxSecrets) {
			left(s.what, s.instead, m[2])
		}
	}
	for _, s := range secretPlaces {
		if !s.fits(f.Path) {
			continue
		}
		for _, m := range s.value.FindAllSubmatchIndex(content, maxSecrets) {
			if !harmless(string(bytes.TrimSpace(content[m[2]:m[3]]))) {
				left(s.what, s.instead, m[2])
			}
		}
	}
	if encryptionKey(content) {
		left("a PBS encryption key", "a site needs none; keep it where the escrowed keys are", 0)
	}
}

// maxSecrets bounds the reports about one file.
const maxSecrets = 100

// harmless values stand where a secret could: placeholders, references to
// one, and the locked or empty passwords of shadow(5).
func harmless(value string) bool {
	value = strings.Trim(value, `"'`)
	return strings.Trim(value, "!*") == "" || value == "x" || strings.Contains(value, "@{") || strings.HasPrefix(value, "{{")
}

// encryptionKey says whether the file is a PBS key file with its data; sealed
// by a passphrase or not, it opens the backups to who guesses that.
func encryptionKey(content []byte) bool {
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		return false
	}
	var key struct {
		KDF  json.RawMessage `json:"kdf"`
		Data string          `json:"data"`
	}
	return json.Unmarshal(content, &key) == nil && key.KDF != nil && key.Data != "" && !strings.Contains(key.Data, "@{")
}
