package unit

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Command is one line of ExecStart= and its kin (systemd.service(5)).
type Command struct {
	Key       string   // ExecStart, ExecStartPre, …
	Argv      []string // specifiers replaced, variables not yet
	Name      string   // argv[0], when @ gives it another
	Forgiven  bool     // "-": a failure is none
	Literal   bool     // ":": variables stay as they are
	FullRight bool     // "+", "!": runs as root, User= or not
	At        topology.Position
}

func (c Command) String() string { return c.Key + "=" + strings.Join(c.Argv, " ") }

// commands reads the value of an Exec*= line: words, quotes, escapes, and ";"
// between several commands.
func (u *Unit) commands(d Directive) ([]Command, error) {
	words, err := splitWords(d.Value)
	if err != nil {
		return nil, err
	}
	var out []Command
	var argv []word
	for _, w := range append(words, word{text: ";"}) {
		if w.text != ";" || w.quoted {
			argv = append(argv, w)
			continue
		}
		if len(argv) == 0 {
			continue
		}
		c, err := u.command(d, argv)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		argv = nil
	}
	return out, nil
}

func (u *Unit) command(d Directive, words []word) (Command, error) {
	c := Command{Key: d.Key, At: d.At}
	program := words[0].text
	var renamed bool
prefixes:
	for program != "" {
		switch program[0] {
		case '-':
			c.Forgiven = true
		case ':':
			c.Literal = true
		case '+', '!':
			c.FullRight = true
		case '@':
			renamed = true
		default:
			break prefixes
		}
		program = program[1:]
	}
	if strings.HasPrefix(program, "|") {
		return c, fmt.Errorf("the prefix | is not supported: call the shell with -c")
	}
	if strings.HasPrefix(program, "$") {
		return c, fmt.Errorf("the program must be named, not a variable")
	}
	if program == "" || strings.Contains(program, "/") && !path.IsAbs(program) {
		return c, fmt.Errorf("%q is neither an absolute path nor the name of a program", program)
	}
	texts := []string{program}
	for _, w := range words[1:] {
		texts = append(texts, w.text)
	}
	for _, text := range texts {
		text, err := u.expand(text)
		if err != nil {
			return c, err
		}
		c.Argv = append(c.Argv, text)
	}
	if renamed {
		if len(c.Argv) < 2 {
			return c, fmt.Errorf("@ needs the name that the program is called by")
		}
		c.Name = c.Argv[1]
		c.Argv = append(c.Argv[:1], c.Argv[2:]...)
	}
	return c, nil
}

type word struct {
	text   string
	quoted bool
}

// splitWords splits as systemd does: white space separates, both quotes hold
// together, backslashes escape outside single quotes too.
func splitWords(s string) ([]word, error) {
	var out []word
	var b strings.Builder
	var inWord, wasQuoted bool
	var quote byte
	end := func() {
		if inWord {
			out = append(out, word{b.String(), wasQuoted})
		}
		b.Reset()
		inWord, wasQuoted = false, false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			text, used, err := unescape(s[i:])
			if err != nil {
				return nil, err
			}
			b.WriteString(text)
			inWord, wasQuoted = true, true
			i += used - 1
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote, inWord, wasQuoted = c, true, true
		case c == ' ' || c == '\t' || c == '\n':
			end()
		default:
			b.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed", quote)
	}
	end()
	return out, nil
}

var escapes = map[byte]string{
	'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
	'\\': `\`, '"': `"`, '\'': "'", 's': " ", ';': ";",
}

// unescape reads one backslash sequence and says how many bytes it took.
func unescape(s string) (text string, used int, err error) {
	if len(s) < 2 {
		return "", 0, fmt.Errorf(`a \ at the end`)
	}
	if text, ok := escapes[s[1]]; ok {
		return text, 2, nil
	}
	digits, base, from := 0, 16, 2
	switch {
	case s[1] == 'x':
		digits = 2
	case s[1] == 'u':
		digits = 4
	case s[1] == 'U':
		digits = 8
	case s[1] >= '0' && s[1] <= '7':
		digits, base, from = 3, 8, 1
	}
	if digits == 0 {
		return s[:2], 2, nil // unknown ones are kept, as for a regular expression
	}
	if len(s) < from+digits {
		return "", 0, fmt.Errorf("the escape %s is cut off", s)
	}
	n, err := strconv.ParseUint(s[from:from+digits], base, 32)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%s is no escape", s[:from+digits])
	}
	if s[1] == 'u' || s[1] == 'U' {
		return string(rune(n)), from + digits, nil
	}
	return string([]byte{byte(n)}), from + digits, nil
}

// fill puts the environment into a command's arguments: $A as a word of its
// own becomes as many words as it has, ${A} stands anywhere, $$ is a dollar.
func fill(argv []string, env map[string]string) []string {
	out := []string{argv[0]}
	for _, arg := range argv[1:] {
		if name, ok := strings.CutPrefix(arg, "$"); ok && isVariable(name) {
			words, err := splitWords(env[name])
			if err != nil {
				words = []word{{text: env[name]}}
			}
			for _, w := range words {
				out = append(out, w.text)
			}
			continue
		}
		out = append(out, fillInside(arg, env))
	}
	return out
}

func fillInside(arg string, env map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(arg); i++ {
		switch rest := arg[i:]; {
		case strings.HasPrefix(rest, "$$"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "${"):
			name, _, ok := strings.Cut(rest[2:], "}")
			if !ok || !isVariable(name) {
				b.WriteByte('$')
				continue
			}
			b.WriteString(env[name])
			i += len(name) + 2
		default:
			b.WriteByte(arg[i])
		}
	}
	return b.String()
}

func isVariable(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
