package evidence

import (
	"bytes"
	"encoding/json"
)

// redactJSON redacts each string of a valid JSON text, keys too, and keeps
// the order. Strings are unescaped first: a secret may hold quotes. A member
// whose key says that it is a secret loses its value whatever it looks like.
func redactJSON(text []byte, redact func(string) string) []byte {
	var out bytes.Buffer
	key := ""
	for at := 0; at < len(text); {
		if text[at] != '"' {
			out.WriteByte(text[at])
			at++
			continue
		}
		end := literalEnd(text, at)
		var value string
		if err := json.Unmarshal(text[at:end], &value); err != nil {
			out.Write(text[at:end]) // not reached for valid JSON
			at = end
			continue
		}
		isKey := end < len(text) && text[bytesAfterSpace(text, end)] == ':'
		clean := redact(value)
		if !isKey && secretKey.MatchString(key) && value != "" {
			clean = dots
		}
		out.WriteString(quote(clean))
		if key = ""; isKey {
			key = value
		}
		at = end
	}
	return out.Bytes()
}

func literalEnd(text []byte, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func bytesAfterSpace(text []byte, at int) int {
	for at < len(text)-1 && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

func quote(value string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return `""` // not reached: every string has a JSON form
	}
	return string(bytes.TrimSpace(out.Bytes()))
}
