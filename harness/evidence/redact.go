package evidence

import (
	"bytes"
	"regexp"
	"sort"
	"strings"
	"sync"
)

// dots is what a secret prints as.
const dots = "••••••••"

// shortest is the length in bytes below which a value is not looked for: it
// would blot out half of every record and protect nothing.
const shortest = 4

// Redactor takes secrets out of everything that is kept. It knows the lab's
// own by value, in every form that a tool may print them in, and others by
// their shape. The zero value is ready and safe for concurrent use.
type Redactor struct {
	mu      sync.RWMutex
	forms   map[string][]string // the first bytes of a form → forms, longest first
	starts  [1 << 16]bool       // whether a form starts with these two bytes
	longest int                 // bytes
}

// Add makes a secret known by its value. It is called before the secret
// reaches a lab.
func (r *Redactor) Add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forms == nil {
		r.forms = map[string][]string{}
	}
	for _, form := range forms(secret) {
		r.add(form)
	}
}

func (r *Redactor) add(form string) {
	if len(form) < shortest {
		return
	}
	key := form[:shortest]
	for _, known := range r.forms[key] {
		if known == form {
			return
		}
	}
	all := append(r.forms[key], form)
	sort.Slice(all, func(i, j int) bool { return len(all[i]) > len(all[j]) })
	r.forms[key] = all
	r.starts[uint16(form[0])<<8|uint16(form[1])] = true
	r.longest = max(r.longest, len(form))
}

// Bytes is the text without its secrets.
func (r *Redactor) Bytes(text []byte) []byte { return mask(text, r.spans(text)) }

// String is the text without its secrets.
func (r *Redactor) String(text string) string {
	b := []byte(text)
	spans := r.spans(b)
	if len(spans) == 0 {
		return text
	}
	return string(mask(b, spans))
}

// Cut is Bytes for a text whose end was cut off, and with it perhaps the end
// of a secret.
func (r *Redactor) Cut(text []byte) []byte {
	spans := r.spans(text)
	if at := r.begun(text); at < len(text) {
		spans = merge(append(spans, span{at, len(text), at, len(text)}))
	}
	return mask(text, spans)
}

var takesSecret = regexp.MustCompile(`(?i)^--?[\w-]*(password|passphrase|secret|token|private-key|preshared-key)$`)

// Argv is a command line without its secrets, also where an option and its
// value are two arguments.
func (r *Redactor) Argv(argv []string) []string {
	clean := make([]string, len(argv))
	for i, arg := range argv {
		if i > 0 && takesSecret.MatchString(argv[i-1]) && !strings.HasPrefix(arg, "-") {
			clean[i] = dots
			continue
		}
		clean[i] = r.String(arg)
	}
	return clean
}

// span is where a secret stands. What identifies it (a key such as
// "PrivateKey =") may begin before it.
type span struct{ from, to, matchFrom, matchTo int }

func (r *Redactor) spans(text []byte) []span {
	return merge(append(r.values(text), shapes(text)...))
}

func (r *Redactor) values(text []byte) []span {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []span
	for i := 0; i+shortest <= len(text); i++ {
		if !r.starts[uint16(text[i])<<8|uint16(text[i+1])] {
			continue
		}
		for _, form := range r.forms[string(text[i:i+shortest])] {
			if len(text)-i >= len(form) && string(text[i:i+len(form)]) == form {
				found = append(found, span{i, i + len(form), i, i + len(form)})
				break // longest first; a longer overlap from a later start is merged
			}
		}
	}
	return found
}

// begun is where a secret begins that the text's end cuts off; the length of
// the text if there is none.
func (r *Redactor) begun(text []byte) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := max(0, len(text)-r.longest); i+shortest <= len(text); i++ {
		for _, form := range r.forms[string(text[i:i+shortest])] {
			if strings.HasPrefix(form, string(text[i:])) {
				return i
			}
		}
	}
	return len(text)
}

func merge(spans []span) []span {
	sort.Slice(spans, func(i, j int) bool { return spans[i].from < spans[j].from })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			out[n-1].matchFrom = min(out[n-1].matchFrom, s.matchFrom)
			out[n-1].matchTo = max(out[n-1].matchTo, s.matchTo)
			continue
		}
		out = append(out, s)
	}
	return out
}

func mask(text []byte, spans []span) []byte {
	if len(spans) == 0 {
		return text
	}
	var out bytes.Buffer
	at := 0
	for _, s := range spans {
		out.Write(text[at:s.from])
		out.WriteString(dots)
		at = s.to
	}
	out.Write(text[at:])
	return out.Bytes()
}

// maskInPlace keeps every length, for formats that count their bytes.
func maskInPlace(text []byte, spans []span) []byte {
	out := bytes.Clone(text)
	for _, s := range spans {
		for i := s.from; i < s.to; i++ {
			out[i] = '*'
		}
	}
	return out
}
