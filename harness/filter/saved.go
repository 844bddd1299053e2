package filter

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// The files that a Debian 13 loads its filter from at boot:
// netfilter-persistent the first two, nftables.service the third.
const (
	RulesV4  = "/etc/iptables/rules.v4"
	RulesV6  = "/etc/iptables/rules.v6"
	Nftables = "/etc/nftables.conf"
)

// Source is where a node's files are read from. A missing file is
// fs.ErrNotExist.
type Source interface {
	Read(path string) ([]byte, error)
	// Glob gives the paths that match, sorted; nft's include takes a pattern.
	Glob(pattern string) ([]string, error)
}

// Saved is what the files of a node would load.
type Saved struct {
	Files  []SavedFile
	chains map[chainKey]*savedChain
}

// SavedFile is one of the files above.
type SavedFile struct {
	Path    string
	Exists  bool
	Rules   int      // rules and policies in it and in what it includes
	Unknown []string // what the reader could not make sense of, with file and line
}

// Empty says whether the file is there and holds nothing.
func (f SavedFile) Empty() bool { return f.Exists && f.Rules == 0 }

type chainKey struct{ family, table, chain string }

type savedChain struct {
	file   string // the file at the top, which includes the others
	hook   string // of nftables.conf: input, forward, …; "" of a chain that others jump to
	policy place
	rules  []place
	vague  bool // a command in the file edits the chain in a way that loses count
}

// place is one statement of a file.
type place struct {
	file string
	line int
	text string
}

// ReadSaved reads the files that a node's filter is loaded from. A missing file
// is no error: it is what [Saved.File] tells.
func ReadSaved(src Source) (*Saved, error) {
	s := &Saved{chains: map[chainKey]*savedChain{}}
	for _, one := range []struct {
		path string
		scan func(*Saved, *SavedFile, []byte, Source)
	}{
		{RulesV4, scanRestoreIPv4},
		{RulesV6, scanRestoreIPv6},
		{Nftables, scanNft},
	} {
		content, err := src.Read(one.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", one.path, err)
		}
		file := SavedFile{Path: one.path, Exists: err == nil}
		one.scan(s, &file, content, src)
		s.Files = append(s.Files, file)
	}
	return s, nil
}

// File tells of one of the files.
func (s *Saved) File(path string) SavedFile {
	for _, f := range s.Files {
		if f.Path == path {
			return f
		}
	}
	return SavedFile{Path: path}
}

// Filters says whether nftables.conf has a chain at the input hook in a table
// of one of the families.
func (s *Saved) Filters(families ...string) bool {
	for key, c := range s.chains {
		if c.hook == "input" && slices.Contains(families, key.family) {
			return true
		}
	}
	return false
}

func (s *Saved) chain(key chainKey, file string) *savedChain {
	c := s.chains[key]
	if c == nil {
		c = &savedChain{file: file}
		s.chains[key] = c
	}
	return c
}

// Locate names the file and the line of a rule or policy that a trace or a
// listing gave, with its text as the file has it. Where that can't be done for
// certain, the file alone or nothing is named, and the reason says why.
func (s *Saved) Locate(rs Ruleset, r Rule) (located Rule, reason string) {
	if Ours(r.Table) {
		return r, "the table is made by the lab and stands in no file"
	}
	loaded, ok := rs.Chain(r.Family, r.Table, r.Chain)
	if !ok {
		return r, fmt.Sprintf("chain %s of table %s %s is not loaded any more", r.Chain, r.Family, r.Table)
	}
	saved := s.chains[chainKey{r.Family, r.Table, r.Chain}]
	if saved == nil {
		return r, fmt.Sprintf("chain %s of table %s %s stands in none of the node's files", r.Chain, r.Family, r.Table)
	}
	if r.Handle == 0 && strings.HasPrefix(r.Text, "policy ") {
		return s.locatePolicy(saved, loaded, r)
	}
	r.File = saved.file
	at, ok := loaded.Find(r.Handle, r.Text)
	switch {
	case !ok:
		return r, "the rule is not loaded any more, or its text is there more than once"
	case saved.vague:
		return r, fmt.Sprintf("%s edits chain %s in a way that loses count of its rules", saved.file, r.Chain)
	case len(saved.rules) != len(loaded.Rules):
		return r, fmt.Sprintf("chain %s has %d rules loaded and %d in %s, so the line can't be told",
			r.Chain, len(loaded.Rules), len(saved.rules), saved.file)
	}
	r.File, r.Line, r.Text = saved.rules[at].file, saved.rules[at].line, saved.rules[at].text
	return r, ""
}

func (s *Saved) locatePolicy(saved *savedChain, loaded Chain, r Rule) (Rule, string) {
	r.File = saved.file
	if saved.policy.line == 0 {
		return r, fmt.Sprintf("%s names no policy of chain %s", saved.file, r.Chain)
	}
	if want := policyOf(saved.policy.text); want != loaded.Policy {
		return r, fmt.Sprintf("the policy of chain %s is loaded as %s and saved as %s", r.Chain, loaded.Policy, want)
	}
	r.File, r.Line, r.Text = saved.policy.file, saved.policy.line, saved.policy.text
	return r, ""
}

// policyOf reads the policy out of `:INPUT DROP [0:0]` or `policy drop`.
func policyOf(text string) string {
	words := strings.Fields(text)
	if len(words) < 2 {
		return ""
	}
	return strings.ToLower(words[1])
}
