package unit

import (
	"bytes"
	"fmt"
	"strings"

	systemd "github.com/coreos/go-systemd/v22/unit"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Directive is one KEY=VALUE of a unit file. Continued lines are one value.
type Directive struct {
	Section, Key, Value string
	At                  topology.Position // inside the node: /etc/systemd/system/x.service:7
}

func (d Directive) String() string { return d.Key + "=" + d.Value }

// Parse reads one unit file or drop-in. The error is [topology.Problems].
func Parse(file string, text []byte) ([]Directive, error) {
	lines, problems := logical(file, text)
	if len(problems) > 0 {
		return nil, problems
	}
	var joined bytes.Buffer
	var places []topology.Position // of the options, in order
	for _, l := range lines {
		joined.WriteString(l.text + "\n")
		if !l.header {
			places = append(places, l.at)
		}
	}
	options, err := systemd.DeserializeOptions(&joined)
	if err != nil {
		return nil, topology.Problems{{Position: topology.Position{File: file}, Text: fmt.Sprintf("is no unit file: %v", err)}}
	}
	if len(options) != len(places) {
		return nil, topology.Problems{{Position: topology.Position{File: file}, Text: fmt.Sprintf("is no unit file: %d of its %d lines can be read", len(options), len(places))}}
	}
	directives := make([]Directive, len(options))
	for i, o := range options {
		directives[i] = Directive{Section: o.Section, Key: o.Name, Value: o.Value, At: places[i]}
	}
	return directives, nil
}

// line is a header or an option with its continuations. The library that reads
// them gives no positions, so each is put on one line of its own and counted.
type line struct {
	text   string
	header bool
	at     topology.Position // of the first of its lines
}

func logical(file string, text []byte) ([]line, topology.Problems) {
	var out []line
	var problems topology.Problems
	var open bool // the last line ended in a backslash
	for i, raw := range strings.Split(string(text), "\n") {
		raw = strings.TrimSpace(strings.ReplaceAll(raw, "\r", ""))
		if strings.HasPrefix(raw, "#") || strings.HasPrefix(raw, ";") || raw == "" && !open {
			continue // systemd skips comments even inside a continued line
		}
		body, more := strings.CutSuffix(raw, `\`)
		if open {
			last := &out[len(out)-1]
			last.text = strings.TrimSpace(last.text + " " + strings.TrimSpace(body))
			open = more
			continue
		}
		l := line{text: strings.TrimSpace(body), at: topology.Position{File: file, Line: i + 1}, header: strings.HasPrefix(raw, "[")}
		if text := misread(l, len(out) == 0); text != "" {
			problems = append(problems, topology.Problem{Position: l.at, Text: text})
			continue
		}
		out = append(out, l)
		open = more
	}
	return out, problems
}

// misread says what systemd could not read either.
func misread(l line, first bool) string {
	switch key, _, ok := strings.Cut(l.text, "="); {
	case l.header && (!strings.HasSuffix(l.text, "]") || strings.Count(l.text, "]") != 1 || len(l.text) < 3):
		return fmt.Sprintf("%q is no section: it should read [Unit], [Service] or [Install]", l.text)
	case l.header:
		return ""
	case first:
		return "a unit file begins with a section, such as [Unit]"
	case !ok || strings.TrimSpace(key) == "":
		return fmt.Sprintf("%q is neither a section nor KEY=VALUE", l.text)
	}
	return ""
}
