package filter

import (
	"fmt"
	"path"
	"strings"
)

// maxDepth is nft's own limit of the depth of includes; maxFiles keeps a file
// that includes itself twice from being read 65,536 times.
const (
	maxDepth = 16
	maxFiles = 1000
)

// scanNft reads nftables.conf as far as is needed to know on which line each
// rule of each chain begins. It is no parser of nft's language: nft itself has
// loaded the file, or said why not.
func scanNft(s *Saved, f *SavedFile, content []byte, src Source) {
	(&nftScanner{saved: s, top: f, src: src}).file(f.Path, content, scope{}, 0)
}

// scope is the table and the chain that a statement stands in.
type scope struct {
	table [2]string // family and name
	chain string
	alone bool // the chain stands outside of its table's block
}

type nftScanner struct {
	saved *Saved
	top   *SavedFile
	src   Source
	files int // read so far
}

// statement is what stands between line ends, semicolons and braces.
type statement struct {
	place
	ends byte // '{', '}', ';' (or the end of a line)
}

func (n *nftScanner) file(name string, content []byte, in scope, depth int) {
	n.files++
	blocks := 0 // open blocks that are neither a table nor a chain
	for _, st := range statements(name, string(content)) {
		switch {
		case blocks > 0:
			blocks += nesting(st.ends)
		case st.ends == '{':
			if !n.open(&in, strings.Fields(st.text)) {
				blocks++
			}
		default:
			n.statement(in, st, depth)
			if st.ends == '}' {
				in.leave()
			}
		}
	}
}

// open enters a table or a chain; other blocks hold no rules.
func (n *nftScanner) open(in *scope, words []string) bool {
	words = withoutVerb(words)
	switch {
	case len(words) < 2:
		return false
	case words[0] == "table" && in.table[1] == "":
		in.table = tableOf(words[1:])
		return true
	case words[0] == "chain" && in.chain == "":
		if in.table[1] == "" {
			if len(words) < 3 {
				return false
			}
			in.table, in.alone = tableOf(words[1:]), true
		}
		in.chain = words[len(words)-1]
		n.saved.chain(in.key(), n.top.Path)
		return true
	}
	return false
}

func (in *scope) leave() {
	if in.chain == "" || in.alone {
		in.table = [2]string{}
	}
	in.chain, in.alone = "", false
}

func (in scope) key() chainKey { return chainKey{in.table[0], in.table[1], in.chain} }

func (n *nftScanner) statement(in scope, st statement, depth int) {
	words := strings.Fields(st.text)
	switch {
	case len(words) == 0:
	case words[0] == "include":
		n.include(st, in, depth)
	case in.chain != "":
		n.inChain(in.key(), st)
	case in.table[1] == "":
		n.command(words, st)
	}
}

func nesting(ends byte) int {
	switch ends {
	case '{':
		return 1
	case '}':
		return -1
	}
	return 0
}

// tableOf reads `inet filter`, or `filter`, which is nft's short for ip.
func tableOf(words []string) [2]string {
	if len(words) > 1 && families[words[0]] {
		return [2]string{words[0], words[1]}
	}
	return [2]string{"ip", words[0]}
}

func (n *nftScanner) inChain(key chainKey, st statement) {
	c := n.saved.chain(key, n.top.Path)
	first, rest, _ := strings.Cut(st.text, " ")
	switch first {
	case "policy":
		c.policy = st.place
		n.top.Rules++
	case "type":
		if _, hook, ok := strings.Cut(rest, "hook "); ok {
			c.hook, _, _ = strings.Cut(strings.TrimSpace(hook), " ")
			if c.policy.line == 0 {
				// nft's policy, when the file is silent, is accept.
				c.policy = place{file: st.file, line: st.line, text: "policy accept"}
			}
			n.top.Rules++
			return
		}
		n.rule(c, st)
	case "flags", "comment", "devices", "device":
	default:
		n.rule(c, st)
	}
}

func (n *nftScanner) rule(c *savedChain, st statement) {
	c.rules = append(c.rules, st.place)
	n.top.Rules++
}

// command reads what stands outside of tables: `add rule inet filter input …`.
func (n *nftScanner) command(words []string, st statement) {
	if len(words) < 3 {
		return
	}
	verb, object := words[0], words[1]
	switch {
	case verb == "define", verb == "flush" && object == "ruleset", verb == "redefine", verb == "undefine":
	case object == "rule":
		t := tableOf(words[2:])
		at := 3
		if families[words[2]] {
			at = 4
		}
		if t[1] == "" || at >= len(words) {
			return
		}
		c := n.saved.chain(chainKey{t[0], t[1], words[at]}, n.top.Path)
		text := st.place
		text.text = strings.Join(words[at+1:], " ")
		n.edit(c, verb, text)
	}
}

func (n *nftScanner) edit(c *savedChain, verb string, at place) {
	positioned := strings.HasPrefix(at.text, "position ") || strings.HasPrefix(at.text, "handle ") ||
		strings.HasPrefix(at.text, "index ")
	switch {
	case positioned, verb == "replace", verb == "delete", verb == "destroy":
		c.vague = true
	case verb == "insert":
		c.insert(0, at)
		n.top.Rules++
	case verb == "add", verb == "create":
		c.rules = append(c.rules, at)
		n.top.Rules++
	}
}

func (n *nftScanner) include(st statement, in scope, depth int) {
	pattern := strings.Trim(strings.TrimSpace(strings.TrimPrefix(st.text, "include")), `"'`)
	if pattern == "" || depth >= maxDepth {
		n.unknown(st)
		return
	}
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc", pattern) // nft's default include path
	}
	names := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		found, err := n.src.Glob(pattern)
		if err != nil {
			n.unknown(st)
			return
		}
		names = found
	}
	for _, name := range names {
		content, err := n.src.Read(name)
		if err != nil || n.files >= maxFiles {
			n.unknown(st)
			continue
		}
		n.file(name, content, in, depth+1)
	}
}

func (n *nftScanner) unknown(st statement) {
	n.top.Unknown = append(n.top.Unknown, fmt.Sprintf("%s:%d: %s", st.file, st.line, short(st.text)))
}

// statements cuts a file at line ends, semicolons and the braces of blocks.
// Sets, and the anonymous chains of a jump, are part of their rule.
func statements(name, content string) []statement {
	var out []statement
	var text strings.Builder
	line, begins, inSet := 1, 1, 0
	emit := func(ends byte) {
		if joined := strings.Join(strings.Fields(text.String()), " "); joined != "" || ends != ';' {
			out = append(out, statement{place{name, begins, joined}, ends})
		}
		text.Reset()
	}
	for i := 0; i < len(content); i++ {
		c := content[i]
		if blank(text.String()) {
			begins = line
		}
		switch {
		case c == '"':
			end := strings.IndexByte(content[i+1:], '"')
			if end < 0 {
				end = len(content) - i - 2
			}
			quoted := content[i:min(i+end+2, len(content))]
			line += strings.Count(quoted, "\n")
			text.WriteString(quoted)
			i += len(quoted) - 1
		case c == '#':
			for i+1 < len(content) && content[i+1] != '\n' {
				i++
			}
		case c == '\\' && i+1 < len(content) && content[i+1] == '\n':
			line++
			i++
			text.WriteByte(' ')
		case c == '{' && (inSet > 0 || !opensBlock(text.String())):
			inSet++
			text.WriteByte(c)
		case c == '}' && inSet > 0:
			inSet--
			text.WriteByte(c)
		case c == '{', c == '}':
			emit(c)
		case inSet > 0 && c == '\n':
			line++
			text.WriteByte(' ')
		case inSet > 0:
			text.WriteByte(c)
		case c == ';':
			emit(';')
		case c == '\n':
			emit(';')
			line++
		default:
			text.WriteByte(c)
		}
	}
	emit(';')
	return out
}

// opensBlock says whether a brace after this text begins a block of its own
// rather than a set within a rule.
func opensBlock(text string) bool {
	words := strings.Fields(text)
	if len(words) == 0 {
		return true
	}
	words = withoutVerb(words)
	switch words[0] {
	case "table", "flowtable":
		return len(words) < 4
	case "chain":
		return len(words) < 5
	case "set", "map", "counter", "quota", "limit", "secmark", "synproxy":
		return len(words) == 2
	case "ct":
		return len(words) == 3 && (words[1] == "helper" || words[1] == "timeout" || words[1] == "expectation")
	}
	return false
}

// withoutVerb drops the `add` of `add table inet filter {`.
func withoutVerb(words []string) []string {
	if len(words) > 1 && (words[0] == "add" || words[0] == "create") && !strings.HasPrefix(words[1], "@") {
		return words[1:]
	}
	return words
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }
