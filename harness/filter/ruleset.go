package filter

import (
	"fmt"
	"slices"
	"strings"
)

// Ruleset is what a node's kernel has loaded.
type Ruleset struct {
	Tables []Table
}

// Table is one table of a ruleset. Objects are its sets, maps and the like, as
// printed and with their white space evened out.
type Table struct {
	Family  string
	Name    string
	Chains  []Chain
	Objects []string
}

// Chain is one chain in the order of its rules. Hook and Policy are empty in a
// chain that others jump to.
type Chain struct {
	Name   string
	Hook   string
	Type   string // the whole line, without the policy
	Policy string
	Rules  []Loaded
}

// Loaded is one rule as nft prints it.
type Loaded struct {
	Handle int
	Text   string
}

// ParseRuleset reads `nft -a list ruleset`, or the same without -a.
func ParseRuleset(listing []byte) (Ruleset, error) {
	var rs Ruleset
	var table *Table
	var chain *Chain
	for at, line := range joinLines(string(listing)) {
		text, handle := cutHandle(line)
		switch {
		case table == nil:
			words := strings.Fields(text)
			if len(words) != 4 || words[0] != "table" || words[3] != "{" {
				return rs, fmt.Errorf("ruleset: statement %d: %q begins no table", at+1, short(text))
			}
			rs.Tables = append(rs.Tables, Table{Family: words[1], Name: words[2]})
			table = &rs.Tables[len(rs.Tables)-1]
		case chain != nil && text == "}":
			chain = nil
		case text == "}":
			table = nil
		case chain != nil:
			chain.add(text, handle)
		case strings.HasPrefix(text, "chain ") && strings.HasSuffix(text, "{"):
			name := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, "chain "), "{"))
			table.Chains = append(table.Chains, Chain{Name: name})
			chain = &table.Chains[len(table.Chains)-1]
		default:
			table.Objects = append(table.Objects, text)
		}
	}
	if table != nil {
		return rs, fmt.Errorf("ruleset: table %s %s does not end", table.Family, table.Name)
	}
	return rs, nil
}

func (c *Chain) add(text string, handle int) {
	if strings.HasPrefix(text, "type ") && len(c.Rules) == 0 && c.Type == "" {
		for part := range strings.SplitSeq(text, ";") {
			part = strings.TrimSpace(part)
			if policy, ok := strings.CutPrefix(part, "policy "); ok {
				c.Policy = policy
			} else if part != "" {
				c.Type = part
			}
		}
		words := strings.Fields(c.Type)
		if len(words) > 3 && words[2] == "hook" {
			c.Hook = words[3]
		}
		return
	}
	if strings.HasPrefix(text, "comment ") && handle == 0 && len(c.Rules) == 0 {
		return // of the chain itself
	}
	c.Rules = append(c.Rules, Loaded{Handle: handle, Text: text})
}

// joinLines gives the statements of a listing, each on one line: blocks of
// tables and chains stay open, those of sets are joined up to their brace.
func joinLines(listing string) []string {
	var out []string
	var open strings.Builder
	depth := 0
	for line := range strings.SplitSeq(listing, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || (depth == 0 && strings.HasPrefix(line, "#")) {
			continue
		}
		text, _ := cutHandle(line)
		block := depth == 0 && strings.HasSuffix(text, "{") &&
			(strings.HasPrefix(text, "table ") || strings.HasPrefix(text, "chain "))
		if block || (depth == 0 && text == "}") {
			out = append(out, line)
			continue
		}
		if open.Len() > 0 {
			open.WriteByte(' ')
		}
		if strings.HasSuffix(text, "{") {
			line = text // the handle of a set is no part of what it holds
		}
		open.WriteString(line)
		depth = max(0, depth+braces(line))
		if depth == 0 {
			out = append(out, open.String())
			open.Reset()
		}
	}
	if open.Len() > 0 {
		out = append(out, open.String())
	}
	return out
}

// braces counts the braces that a line leaves open, outside of quotes.
func braces(line string) int {
	n, quoted := 0, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			n++
		case c == '}':
			n--
		}
	}
	return n
}

// Chain finds a chain.
func (rs Ruleset) Chain(family, table, chain string) (Chain, bool) {
	for _, t := range rs.Tables {
		if t.Family != family || t.Name != table {
			continue
		}
		for _, c := range t.Chains {
			if c.Name == chain {
				return c, true
			}
		}
	}
	return Chain{}, false
}

// Hooked says whether any chain of the families filters at the hook. Tables of
// the harness are left out.
func (rs Ruleset) Hooked(hook string, families ...string) bool {
	for _, t := range rs.Tables {
		if Ours(t.Name) || !slices.Contains(families, t.Family) {
			continue
		}
		for _, c := range t.Chains {
			if c.Hook == hook && strings.HasPrefix(c.Type, "type filter") {
				return true
			}
		}
	}
	return false
}

// Find gives the place of a rule in its chain, counted from 0: by its handle,
// or, where a trace has none, by its text if that is there only once.
func (c Chain) Find(handle int, text string) (int, bool) {
	found, times := 0, 0
	for i, r := range c.Rules {
		if handle != 0 && r.Handle == handle {
			return i, true
		}
		if handle == 0 && withoutCounters(r.Text) == withoutCounters(text) {
			found, times = i, times+1
		}
	}
	return found, times == 1
}

// withoutCounters drops the numbers of `counter packets 4 bytes 240`, which
// differ from one listing to the next.
func withoutCounters(text string) string {
	words := strings.Fields(text)
	out := words[:0]
	for i := 0; i < len(words); i++ {
		out = append(out, words[i])
		if words[i] == "counter" && i+4 < len(words) && words[i+1] == "packets" && words[i+3] == "bytes" {
			i += 4
		}
	}
	return strings.Join(out, " ")
}

// Ours says whether a table is one of the harness or of the driver: no part of
// what is judged.
func Ours(table string) bool { return strings.HasPrefix(table, "pbsdrill") }

func short(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}
