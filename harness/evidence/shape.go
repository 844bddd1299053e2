package evidence

import (
	"bytes"
	"regexp"
)

// shape is a secret that is known by what stands around it. The secret is the
// first group that matched, or all of it where there is no group.
type shape struct {
	hints []string // in lower case; without any of them the text cannot match
	match *regexp.Regexp
}

const (
	named  = `(?:password|passwd|passphrase|secret|api[_-]?key|token[_-]?value|private[_-]?key|preshared[_-]?key)`
	wgkey  = `[A-Za-z0-9+/]{43}=`
	anyKey = `[A-Za-z0-9+/_-]{16,}={0,2}`
)

// secretKey is a key of JSON whose value is a secret.
var secretKey = regexp.MustCompile(`(?i)^[\w.-]*` + named + `$`)

var nameHints = []string{"pass", "secret", "key", "token"}

var known = []shape{
	// PEM and OpenSSH; one without an end hides all that follows.
	{[]string{"private key"}, regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)`)},
	// wg0.conf, wireguard's control protocol, nft and wg in JSON.
	{[]string{"key", "psk"}, regexp.MustCompile(`(?i)(?:private[_ -]?key|preshared[_ -]?key|psk)["']?\s*[=:]\s*["']?(` + anyKey + `)`)},
	// wg show dump, with and without the interface's name: first the
	// interface's own line, then its peers' preshared keys.
	{[]string{"=\t"}, regexp.MustCompile(`(?m)^(?:\S+\t)?(` + wgkey + `)\t` + wgkey + `\t\d+\t(?:off|0x[0-9a-f]+)\s*$`)},
	{[]string{"=\t"}, regexp.MustCompile(`(?m)^(?:\S+\t)?` + wgkey + `\t(` + wgkey + `)\t\S+\t\S*\t\d+\t`)},
	// Settings, environments and queries; JSON; YAML; PBS's section files.
	{nameHints, regexp.MustCompile(`(?i)` + named + `["']?\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'&,;]+))`)},
	{nameHints, regexp.MustCompile(`(?i)"[\w.-]*` + named + `"\s*:\s*"((?:[^"\\]|\\.)+)"`)},
	{nameHints, regexp.MustCompile(`(?im)^\s*[\w-]*` + named + `:[ \t]+(\S+)[ \t\r]*$`)},
	{nameHints, regexp.MustCompile(`(?im)^[ \t]+[\w-]*` + named + `[ \t]+(\S+)[ \t\r]*$`)},
	// What PBS and PVE send and take.
	{[]string{"apitoken"}, regexp.MustCompile(`(?i)(?:PBS|PVE)APIToken[=\s]+[^\s:=]+[:=]([^\s"',;]+)`)},
	{[]string{"@"}, regexp.MustCompile(`[\w.-]+@[\w-]+![\w.-]+[:=]([0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27})`)},
	{[]string{"authcookie"}, regexp.MustCompile(`(?i)(?:PBS|PVE)AuthCookie["']?\s*[=:]\s*["']?([^\s;"']+)`)},
	{[]string{"::"}, regexp.MustCompile(`\b(?:PBS|PVE)[A-Z]*:[^\s:]+:[0-9A-F]{8}::([A-Za-z0-9+/=]+)`)},
	{[]string{"csrfprevention"}, regexp.MustCompile(`(?i)CSRFPreventionToken["']?\s*[=:]\s*["']?([^\s"',;]+)`)},
	{[]string{`"kdf"`}, regexp.MustCompile(`"kdf"[\s\S]*?"data"\s*:\s*"([^"]+)"`)},
	// HTTP.
	{[]string{"authorization"}, regexp.MustCompile(`(?i)authorization["']?\s*[:=]\s*["']?(?:basic|bearer)\s+([^\s"',;]+)`)},
	{[]string{"x-gotify-key"}, regexp.MustCompile(`(?i)x-gotify-key["']?\s*[:=]\s*["']?([^\s"',;]+)`)},
	{[]string{"token="}, regexp.MustCompile(`(?i)[?&](?:access_)?token=([^\s"'&,;]+)`)},
	{[]string{"://"}, regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@`)},
	// crypt(3) and age.
	{[]string{"$"}, regexp.MustCompile(`\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|apr1|argon2[id]{1,2})\$[A-Za-z0-9./,=+$-]{8,}`)},
	{[]string{"age-secret-key"}, regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Za-z]+`)},
}

// shapes finds what looks like a secret. Placeholders of a site are none.
func shapes(text []byte) []span {
	var found []span
	lower := bytes.ToLower(text)
	for _, s := range known {
		if !s.hinted(lower) {
			continue
		}
		for _, at := range s.match.FindAllSubmatchIndex(text, -1) {
			from, to := secretOf(at)
			if bytes.HasPrefix(text[from:to], []byte("@{")) || bytes.HasPrefix(text[from:to], []byte(dots)) {
				continue
			}
			found = append(found, span{from, to, at[0], at[1]})
		}
	}
	return found
}

func (s shape) hinted(lower []byte) bool {
	for _, hint := range s.hints {
		if bytes.Contains(lower, []byte(hint)) {
			return true
		}
	}
	return false
}

func secretOf(at []int) (from, to int) {
	for i := 2; i+1 < len(at); i += 2 {
		if at[i] >= 0 {
			return at[i], at[i+1]
		}
	}
	return at[0], at[1]
}
