package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/topology"
)

// collectWithin bounds the collection of a spec's evidence. What does not
// answer by then is noted and left out.
const collectWithin = 20 * time.Second

// looks are what is asked of each node, by the file that the answers go into.
// A tool that a node lacks answers with that.
var looks = []struct {
	file     string
	commands [][]string
}{
	{"rules.txt", [][]string{{"nft", "-a", "list", "ruleset"}, {"iptables-save", "-c"}, {"ip6tables-save", "-c"}}},
	{"network.txt", [][]string{
		{"ip", "-s", "address"}, {"ip", "rule"}, {"ip", "route", "show", "table", "all"},
		{"ip", "-6", "rule"}, {"ip", "-6", "route", "show", "table", "all"}, {"ip", "-s", "neighbour"}, {"ip", "-6", "-s", "neighbour"},
	}},
	{"wg.txt", [][]string{{"wg", "show", "all"}}},
	{"conntrack.txt", [][]string{{"conntrack", "-L"}, {"conntrack", "-L", "-f", "ipv6"}}},
	{"sockets.txt", [][]string{{"ss", "-H", "-lntuwp"}}},
}

// collect asks the nodes that the spec has to do with, all at once.
func (s *suite) collect(ctx context.Context, n *session) {
	ctx, cancel := context.WithTimeout(ctx, collectWithin)
	defer cancel()
	concerned := n.concerned()
	var all sync.WaitGroup
	for i, lab := range s.labs.of(n) {
		for _, m := range lab.Site().Nodes {
			if len(concerned) > 0 && !concerned[m.Name] {
				continue
			}
			all.Go(func() { collectNode(ctx, n.folder, lab, m.Name, folderOf(i, m.Name)) })
		}
	}
	all.Wait()
}

// folderOf is where a node's files go; a second lab's do not meet the first's.
func folderOf(lab int, node string) string {
	if lab == 0 {
		return node
	}
	return fmt.Sprintf("lab%d/%s", lab+1, node)
}

// concerned is the nodes that the findings and the broken rows are about; none
// means all.
func (n *session) concerned() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	nodes := map[string]bool{}
	for _, f := range n.spec.Findings {
		from, rest, isFlow := strings.Cut(f.Flow, " -> ")
		if isFlow {
			to, _, _ := strings.Cut(rest, " ")
			nodes[from], nodes[to] = true, true
		}
		if f.Node != "" {
			nodes[f.Node] = true
		}
	}
	for _, r := range n.spec.Rows {
		if !r.Met {
			nodes[r.From], nodes[r.To] = true, true
		}
	}
	return nodes
}

func collectNode(ctx context.Context, folder *evidence.Folder, lab topology.Lab, name, into string) {
	node, err := lab.Node(name)
	if err != nil {
		note(folder, into+"/missing.txt", []byte(err.Error()+"\n"))
		return
	}
	for _, look := range looks {
		var out bytes.Buffer
		for _, argv := range look.commands {
			ask(ctx, &out, node, argv)
		}
		note(folder, into+"/"+look.file, out.Bytes())
	}
	if booted, can := node.(topology.Booted); can {
		collectUnits(ctx, folder, booted, into)
	}
}

func ask(ctx context.Context, out *bytes.Buffer, node topology.Node, argv []string) {
	fmt.Fprintf(out, "# %s\n", strings.Join(argv, " "))
	r, err := node.Run(ctx, topology.Command{Argv: argv})
	switch {
	case err != nil:
		fmt.Fprintf(out, "# it did not run: %v\n", err)
	case r.Exit != 0:
		fmt.Fprintf(out, "%s# exit %d: %s\n", r.Stdout, r.Exit, bytes.TrimSpace(r.Stderr))
	default:
		out.Write(r.Stdout)
	}
	out.WriteString("\n")
}

func collectUnits(ctx context.Context, folder *evidence.Folder, node topology.Booted, into string) {
	units, err := node.Units(ctx)
	if err != nil {
		note(folder, into+"/units.txt", []byte(err.Error()+"\n"))
		return
	}
	text, err := json.MarshalIndent(units, "", " ")
	if err != nil {
		text = []byte(err.Error())
	}
	note(folder, into+"/units.json", append(text, '\n'))
	for _, unit := range units {
		journal, err := node.Journal(ctx, unit.Name)
		if err != nil && !errors.Is(err, context.Canceled) {
			journal = append(journal, []byte("\n# "+err.Error()+"\n")...)
		}
		if len(journal) > 0 {
			note(folder, into+"/journal/"+unit.Name+".txt", journal)
		}
	}
}

// note keeps a file. What cannot be kept (a full disk) must not hide the
// spec's own result; the record of the spec will fail to be written as well,
// and says so.
func note(folder *evidence.Folder, name string, text []byte) {
	if err := folder.Add(name, text); err != nil {
		fmt.Fprintf(progress{}, "evidence: %v\n", err)
	}
}
