package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// scanRestoreIPv4 and scanRestoreIPv6 read the format of iptables-save.
func scanRestoreIPv4(s *Saved, f *SavedFile, content []byte, _ Source) {
	scanRestore(s, f, content, "ip")
}

func scanRestoreIPv6(s *Saved, f *SavedFile, content []byte, _ Source) {
	scanRestore(s, f, content, "ip6")
}

func scanRestore(s *Saved, f *SavedFile, content []byte, family string) {
	table := ""
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		at := place{file: f.Path, line: i + 1, text: line}
		switch {
		case line == "", strings.HasPrefix(line, "#"), line == "COMMIT":
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case table == "":
			f.Unknown = append(f.Unknown, fmt.Sprintf("%s:%d: %s", f.Path, at.line, short(line)))
		case strings.HasPrefix(line, ":"):
			words := strings.Fields(line[1:])
			if len(words) == 0 {
				continue
			}
			c := s.chain(chainKey{family, table, words[0]}, f.Path)
			if len(words) > 1 && words[1] != "-" {
				c.policy = at
			}
			f.Rules++
		default:
			at.text = withoutCountersPrefix(line)
			scanRestoreRule(s, f, family, table, at)
		}
	}
}

// scanRestoreRule reads one command. iptables-save writes -A only; people who
// write the file by hand use -I and others too.
func scanRestoreRule(s *Saved, f *SavedFile, family, table string, at place) {
	words := strings.Fields(at.text)
	if len(words) < 2 {
		f.Unknown = append(f.Unknown, fmt.Sprintf("%s:%d: %s", at.file, at.line, short(at.text)))
		return
	}
	c := s.chain(chainKey{family, table, words[1]}, f.Path)
	switch words[0] {
	case "-A", "--append":
		c.rules = append(c.rules, at)
		f.Rules++
	case "-I", "--insert":
		n := 1
		if len(words) > 2 {
			if given, err := strconv.Atoi(words[2]); err == nil {
				n = given
			}
		}
		c.insert(n-1, at)
		f.Rules++
	case "-P", "--policy":
		if len(words) > 2 {
			c.policy = place{file: at.file, line: at.line, text: "policy " + strings.ToLower(words[2])}
			f.Rules++
		}
	case "-N", "--new-chain":
	default:
		c.vague = true
	}
}

func (c *savedChain) insert(n int, at place) {
	n = min(max(n, 0), len(c.rules))
	c.rules = append(c.rules[:n], append([]place{at}, c.rules[n:]...)...)
}

// withoutCountersPrefix drops the `[12:345] ` that `iptables-save -c` puts
// before a rule.
func withoutCountersPrefix(line string) string {
	if strings.HasPrefix(line, "[") {
		if _, rest, ok := strings.Cut(line, "] "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return line
}
