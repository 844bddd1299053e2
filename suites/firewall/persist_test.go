package firewall_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/harness"
	"github.com/pbsdrill/pbsdrill/harness/evidence"
	"github.com/pbsdrill/pbsdrill/harness/filter"
	"github.com/pbsdrill/pbsdrill/topology"
)

var _ = Describe("the rules that are loaded are the rules that are saved", func() {
	for _, persist := range harness.Site().Promises.Persist {
		It("at "+persist.Node, func(ctx SpecContext) {
			harness.Promise("persist")
			harness.Subject(persist.Node)
			// A lab that nothing watches: watching adds a table of its own.
			node := onNode(harness.NewLab(ctx), persist.Node)
			compared := 0
			for _, saved := range []struct {
				path    string
				compare func(context.Context, topology.Node, string) []filter.Difference
			}{
				{"/etc/iptables/rules.v4", restored("iptables-save")},
				{"/etc/iptables/rules.v6", restored("ip6tables-save")},
				{"/etc/nftables.conf", reloaded},
			} {
				if !exists(persist.Node, saved.path) {
					continue
				}
				compared++
				for _, d := range saved.compare(ctx, node, saved.path) {
					harness.Report(evidence.Finding{
						Promise: "persist", Title: "the rules that are loaded are the rules that are saved", Flow: persist.Node,
						Expected: "loaded = saved", Seen: "they differ", Detail: d.String(),
						Cause: fmt.Sprintf("%s:%s: %s", persist.Node, saved.path, d), Change: changeOf(saved.path),
						Node: persist.Node, At: persist.At,
					})
				}
			}
			if compared == 0 {
				harness.CouldNotTest("%s: %s has no saved rules: none of /etc/nftables.conf, /etc/iptables/rules.v4, rules.v6", persist.At, persist.Node)
			}
			harness.Judged(compared)
		}, SpecTimeout(time.Minute))
	}
})

func changeOf(path string) string {
	if strings.HasPrefix(path, "/etc/iptables") {
		return "netfilter-persistent save, and enable netfilter-persistent.service"
	}
	return "put the rules into " + path + ", and enable nftables.service"
}

func exists(node, path string) bool {
	m, ok := harness.Site().Machine(node)
	if !ok {
		return false
	}
	_, ok = m.File(path)
	return ok
}

// restored compares with a file in the format of iptables-save.
func restored(tool string) func(context.Context, topology.Node, string) []filter.Difference {
	return func(ctx context.Context, node topology.Node, path string) []filter.Difference {
		GinkgoHelper()
		return filter.CompareRestore([]byte(output(ctx, node, tool)), read(ctx, node, path))
	}
}

// reloaded compares with what the file gives when it is loaded where nothing
// else is: an empty network namespace of the node.
func reloaded(ctx context.Context, node topology.Node, path string) []filter.Difference {
	GinkgoHelper()
	loaded, err := filter.ParseRuleset([]byte(output(ctx, node, "nft", "-a", "list", "ruleset")))
	Expect(err).NotTo(HaveOccurred())
	saved, err := filter.ParseRuleset([]byte(output(ctx, node, "unshare", "--net", "sh", "-c", `nft -f "$1" && nft -a list ruleset`, "sh", path)))
	Expect(err).NotTo(HaveOccurred())
	return filter.CompareRulesets(loaded, saved)
}

func output(ctx context.Context, node topology.Node, argv ...string) string {
	GinkgoHelper()
	r, err := node.Run(ctx, topology.Command{Argv: argv})
	Expect(err).NotTo(HaveOccurred())
	if r.Exit != 0 {
		harness.CouldNotTest("%s: %s: exit %d: %s", node.Name(), strings.Join(argv, " "), r.Exit, r.Stderr)
	}
	return string(r.Stdout)
}

func read(ctx context.Context, node topology.Node, path string) []byte {
	GinkgoHelper()
	f, err := node.Get(ctx, path)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(f)
	Expect(err).NotTo(HaveOccurred())
	return content
}

func fileContent(f topology.File) string {
	GinkgoHelper()
	content, err := os.ReadFile(f.Source)
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}
