package topology

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Placeholder is a place in a node's file where a lab's own secret goes:
// @{wg.vps.private}. The kinds are
//
//	wg.NODE.private  wg.NODE.public     a node's WireGuard key; NODE/IF where it has several tunnels
//	psk.A.B                             the preshared key of two nodes, the same for psk.B.A
//	password.NAME    hash.NAME          a password, and its crypt hash
//	pbs.NODE.fingerprint                of the certificate of a node's PBS
//	ssh.NODE.private ssh.NODE.public    the key pair of a node's user
type Placeholder struct {
	Name      string // without the braces: wg.vps.private
	Kind      string // wg, psk, password, hash, pbs, ssh
	Subject   string // NODE, NODE/IF or NAME; of psk the first node
	Interface string // of wg, where it is given
	Part      string // private, public, fingerprint; of psk the second node
	At        Position
}

// placeholderParts lists, for each kind that is about a node, what may follow.
var placeholderParts = map[string][]string{
	"wg":  {"private", "public"},
	"pbs": {"fingerprint"},
	"ssh": {"private", "public"},
}

var placeholderKinds = []string{"wg", "psk", "password", "hash", "pbs", "ssh"}

// opening finds what begins like a placeholder. Others use the braces too:
// @{PROC} in AppArmor's profiles, @{$list} in Perl; so a name here begins with
// a lower-case letter.
var opening = regexp.MustCompile(`@\{[ \t]*[a-z]`)

// closed is a whole placeholder; it stands on one line.
var closed = regexp.MustCompile(`^@\{([^{}\n]*)\}`)

// span is a placeholder and the bytes that it takes.
type span struct {
	Placeholder
	start, end int
}

// scan finds every placeholder of a file, and those that nothing could ever fill.
func scan(file string, content []byte) ([]span, Problems) {
	var found []span
	var problems Problems
	c := cursor{file: file, content: content}
	for _, o := range opening.FindAllIndex(content, -1) {
		at := c.at(o[0])
		parts := closed.FindSubmatch(content[o[0]:])
		if parts == nil {
			problems = append(problems, Problem{Position: at, Text: "a placeholder begins here and never ends; close it with } on the same line"})
			continue
		}
		p, err := parsePlaceholder(string(parts[1]))
		if err != nil {
			problems = append(problems, Problem{Position: at, Text: err.Error()})
			continue
		}
		p.At = at
		found = append(found, span{p, o[0], o[0] + len(parts[0])})
	}
	return found, problems
}

// cursor tells the positions of ascending offsets without counting the lines
// of a long file again and again.
type cursor struct {
	file          string
	content       []byte
	offset, lines int
	begin         int // of the line that offset is on
}

// at gives the position of an offset, which is not before the last one. Lines
// and columns, which are bytes, count from 1.
func (c *cursor) at(offset int) Position {
	passed := c.content[c.offset:offset]
	c.lines += bytes.Count(passed, []byte("\n"))
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		c.begin = c.offset + i + 1
	}
	c.offset = offset
	return Position{File: c.file, Line: c.lines + 1, Column: offset - c.begin + 1}
}

func parsePlaceholder(name string) (Placeholder, error) {
	p := Placeholder{Name: name}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return p, fmt.Errorf("nothing fills @{%s}: there is no space in a placeholder", short(name))
	}
	var rest string
	p.Kind, rest, _ = strings.Cut(name, ".")
	if !slices.Contains(placeholderKinds, p.Kind) {
		return p, fmt.Errorf("nothing fills @{%s}: kind %q is not known%s", short(name), short(p.Kind), wayOut(p.Kind, placeholderKinds))
	}
	p.Subject = rest
	if p.Kind == "password" || p.Kind == "hash" { // remote@pbs.example is one name
		if rest == "" {
			return p, fmt.Errorf("nothing fills @{%s}: whose? Write @{%s.NAME}", name, p.Kind)
		}
		return p, nil
	}
	p.Subject, p.Part, _ = strings.Cut(rest, ".")
	if parts, ok := placeholderParts[p.Kind]; ok && !slices.Contains(parts, p.Part) {
		return p, fmt.Errorf("nothing fills @{%s}: write @{%s.NODE.%s}", short(name), p.Kind, strings.Join(parts, fmt.Sprintf("} or @{%s.NODE.", p.Kind)))
	}
	if p.Kind == "psk" && (p.Subject == "" || p.Part == "") {
		return p, fmt.Errorf("nothing fills @{%s}: write @{psk.A.B} for the nodes A and B", short(name))
	}
	if p.Kind == "wg" {
		p.Subject, p.Interface, _ = strings.Cut(p.Subject, "/")
	}
	return p, nil
}

// Fill puts the values into a file's content; the rest stays as it is, byte
// for byte. The error names every placeholder without a value and its line.
func Fill(content []byte, values func(name string) (string, bool)) ([]byte, error) {
	found, problems := scan("", content)
	var errs []error
	for _, p := range problems {
		errs = append(errs, fmt.Errorf("line %d, column %d: %s", p.Position.Line, p.Position.Column, p.Text))
	}
	var filled []byte
	kept := 0 // where the rest begins
	for _, p := range found {
		value, ok := values(p.Name)
		if !ok {
			errs = append(errs, fmt.Errorf("line %d, column %d: nothing fills @{%s}", p.At.Line, p.At.Column, p.Name))
		}
		filled = append(filled, content[kept:p.start]...)
		filled = append(filled, value...)
		kept = p.end
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("fill the placeholders: %w", errors.Join(errs...))
	}
	return append(filled, content[kept:]...), nil
}

// placeholders checks the names in all placeholders against the site.
func (l *loader) placeholders() {
	for _, p := range l.site.placeholders {
		if text := l.unfilled(p); text != "" {
			l.problem(p.At, "", "nothing fills @{%s}: %s", p.Name, text)
		}
	}
	slices.SortStableFunc(l.site.placeholders, func(a, b Placeholder) int {
		if a.At.File != b.At.File {
			return strings.Compare(a.At.File, b.At.File)
		}
		if a.At.Line != b.At.Line {
			return a.At.Line - b.At.Line
		}
		return a.At.Column - b.At.Column
	})
}

func (l *loader) unfilled(p Placeholder) string {
	switch p.Kind {
	case "password", "hash":
		return ""
	case "psk":
		if p.Subject == p.Part {
			return "a preshared key is of two nodes"
		}
		if text := l.unknownNode(p.Part); text != "" {
			return text
		}
	}
	if text := l.unknownNode(p.Subject); text != "" {
		return text
	}
	if p.Kind != "wg" {
		return ""
	}
	m, _ := l.site.Machine(p.Subject)
	names := m.tunnelNames()
	switch {
	case p.Interface != "" && len(names) == 1 && names[0] == p.Interface:
		// Two names for one key would become two keys.
		return fmt.Sprintf("%s has one tunnel; write @{wg.%s.%s}", m.Name, m.Name, p.Part)
	case p.Interface == "" && len(names) > 1:
		return fmt.Sprintf("%s has the tunnels %s; write @{wg.%s/%s.%s}", m.Name, strings.Join(names, ", "), m.Name, names[0], p.Part)
	case p.Interface != "" && !slices.Contains(names, p.Interface):
		return fmt.Sprintf("%s has no %s", path.Join("nodes", m.Name), "etc/wireguard/"+p.Interface+".conf"+wayOut(p.Interface, names))
	}
	return ""
}

func (l *loader) unknownNode(name string) string {
	if _, ok := l.site.Machine(name); ok {
		return ""
	}
	return fmt.Sprintf("node %q is not defined%s", name, wayOut(name, l.nodeNames()))
}
