package evidence

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// forms are the ways in which a secret may be printed: as it is, quoted,
// escaped, or encoded. A key that is itself base64 or hex is also its bytes,
// since wireguard's control protocol prints keys in hex.
func forms(secret string) []string {
	secret = strings.TrimSpace(secret)
	if len(secret) < shortest {
		return nil
	}
	all := written(secret)
	for _, line := range strings.Split(secret, "\n") {
		// A tool that prints a key line by line, or only its middle.
		if line = strings.TrimSpace(line); len(line) >= 16 && len(line) < len(secret) && !strings.HasPrefix(line, "-----") {
			all = append(all, written(line)...)
		}
	}
	if raw, ok := decoded(secret); ok {
		all = append(all, written(string(raw))...)
	}
	return all
}

func written(secret string) []string {
	quoted := strconv.Quote(secret)
	all := []string{
		secret,
		quoted[1 : len(quoted)-1],
		escaped(secret, true),
		escaped(secret, false),
		url.QueryEscape(secret),
		url.PathEscape(secret),
		percent(secret),
		strings.ToLower(percent(secret)),
		html.EscapeString(secret),
		strings.ReplaceAll(secret, `'`, `'\''`),
		strings.ReplaceAll(secret, `'`, `'"'"'`),
		hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))),
		colons(secret),
		strings.ToUpper(colons(secret)),
	}
	return append(all, encoded(secret)...)
}

func escaped(secret string, markup bool) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(markup)
	if err := e.Encode(secret); err != nil {
		return secret
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(out.String()), `"`), `"`)
}

func percent(secret string) string {
	var out strings.Builder
	for _, b := range []byte(secret) {
		out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	return out.String()
}

func colons(secret string) string {
	parts := make([]string, len(secret))
	for i := range len(secret) {
		parts[i] = hex.EncodeToString([]byte{secret[i]})
	}
	return strings.Join(parts, ":")
}

// encoded is the secret inside base64 text, at each of the three places that
// its first byte can have in a group of three: "user:password" in basic
// authentication hides the password at any of them.
func encoded(secret string) []string {
	var all []string
	for offset, lead := range []int{0, 2, 3} {
		padded := strings.Repeat("\x00", offset) + secret
		whole := len(padded) * 8 / 6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := alphabet.EncodeToString([]byte(padded))
			if whole-lead >= 8 {
				all = append(all, text[lead:whole])
			}
		}
	}
	return all
}

func decoded(secret string) ([]byte, bool) {
	if raw, err := hex.DecodeString(secret); err == nil && len(raw) >= 16 {
		return raw, true
	}
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := alphabet.DecodeString(secret); err == nil && len(raw) >= 16 {
			return raw, true
		}
	}
	return nil, false
}
