package filter

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is one rule, chain or object that is loaded and not saved, or
// saved and not loaded.
type Difference struct {
	Loaded bool   // loaded and not saved; else saved and not loaded
	Where  string // "ip filter INPUT"
	Text   string
}

func (d Difference) String() string {
	if d.Loaded {
		return fmt.Sprintf("loaded and not saved: %s: %s", d.Where, d.Text)
	}
	return fmt.Sprintf("saved and not loaded: %s: %s", d.Where, d.Text)
}

// CompareRestore compares two texts in the format of iptables-save: what is
// loaded, and a file. Comments, counters and the order of tables do not count;
// the order of rules does.
func CompareRestore(loaded, saved []byte) []Difference {
	return compare(restoreLines(loaded), restoreLines(saved))
}

// CompareRulesets compares two rulesets, the loaded one and what the saved
// file gives when it is loaded elsewhere. Tables of the lab and of the harness
// do not count.
func CompareRulesets(loaded, saved Ruleset) []Difference {
	return compare(rulesetLines(loaded), rulesetLines(saved))
}

// section is what one chain holds, in order.
type section struct {
	where string
	lines []string
}

func compare(loaded, saved []section) []Difference {
	var out []Difference
	names := map[string]bool{}
	for _, s := range append(slices.Clone(loaded), saved...) {
		if names[s.where] {
			continue
		}
		names[s.where] = true
		out = append(out, diff(s.where, lines(loaded, s.where), lines(saved, s.where))...)
	}
	return out
}

func lines(all []section, where string) []string {
	for _, s := range all {
		if s.where == where {
			return s.lines
		}
	}
	return nil
}

// diff is the shortest list of changes by the longest common subsequence, so
// that one rule in the middle shows as one difference. Above maxTable cells,
// which no hand-written ruleset reaches, everything in between is listed.
func diff(where string, loaded, saved []string) []Difference {
	for len(loaded) > 0 && len(saved) > 0 && loaded[0] == saved[0] {
		loaded, saved = loaded[1:], saved[1:]
	}
	for len(loaded) > 0 && len(saved) > 0 && loaded[len(loaded)-1] == saved[len(saved)-1] {
		loaded, saved = loaded[:len(loaded)-1], saved[:len(saved)-1]
	}
	if len(loaded)*len(saved) > maxTable {
		return append(all(true, where, loaded), all(false, where, saved)...)
	}
	common := make([][]int, len(loaded)+1)
	for i := range common {
		common[i] = make([]int, len(saved)+1)
	}
	for i := len(loaded) - 1; i >= 0; i-- {
		for j := len(saved) - 1; j >= 0; j-- {
			if loaded[i] == saved[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []Difference
	i, j := 0, 0
	for i < len(loaded) || j < len(saved) {
		switch {
		case i < len(loaded) && j < len(saved) && loaded[i] == saved[j]:
			i, j = i+1, j+1
		case j == len(saved) || (i < len(loaded) && common[i+1][j] >= common[i][j+1]):
			out = append(out, Difference{Loaded: true, Where: where, Text: loaded[i]})
			i++
		default:
			out = append(out, Difference{Where: where, Text: saved[j]})
			j++
		}
	}
	return out
}

const maxTable = 4 << 20

func all(isLoaded bool, where string, texts []string) []Difference {
	out := make([]Difference, len(texts))
	for i, text := range texts {
		out[i] = Difference{Loaded: isLoaded, Where: where, Text: text}
	}
	return out
}

func restoreLines(text []byte) []section {
	var out []section
	index := map[string]int{}
	add := func(table, chain, line string) {
		where := table + " " + chain
		at, ok := index[where]
		if !ok {
			at = len(out)
			index[where] = at
			out = append(out, section{where: where})
		}
		out[at].lines = append(out[at].lines, line)
	}
	table := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		line = withoutCountersPrefix(strings.TrimSpace(line))
		words := strings.Fields(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"), line == "COMMIT":
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":") && len(words) > 1:
			add(table, words[0][1:], words[0]+" "+words[1])
		case len(words) > 1:
			add(table, words[1], strings.Join(words, " "))
		default:
			add(table, "", line)
		}
	}
	return slices.DeleteFunc(out, idle)
}

// idle says whether a chain is what every node has that was ever asked for it:
// built in, accepting and without rules. A kernel that has it and a file that
// leaves it out are the same filter.
func idle(s section) bool {
	return len(s.lines) == 1 && strings.HasPrefix(s.lines[0], ":") && strings.HasSuffix(s.lines[0], " ACCEPT")
}

func rulesetLines(rs Ruleset) []section {
	var out []section
	for _, t := range rs.Tables {
		if Ours(t.Name) {
			continue
		}
		name := t.Family + " " + t.Name
		out = append(out, section{where: name, lines: append([]string{"table " + name}, t.Objects...)})
		for _, c := range t.Chains {
			s := section{where: name + " " + c.Name, lines: []string{"chain " + c.Name}}
			if c.Type != "" {
				s.lines = append(s.lines, c.Type+"; policy "+c.Policy)
			}
			for _, r := range c.Rules {
				s.lines = append(s.lines, withoutCounters(r.Text))
			}
			out = append(out, s)
		}
	}
	return out
}
