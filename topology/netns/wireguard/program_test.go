package wireguard

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestItIsCalledLikeWireguardGo(t *testing.T) {
	g := NewWithT(t)
	none := func(string) string { return "" }
	g.Expect(parse([]string{"wg0"}, none)).To(Equal(call{name: "wg0"}))
	g.Expect(parse([]string{"-f", "wg0"}, none)).To(Equal(call{name: "wg0", foreground: true}))
	g.Expect(parse([]string{"--foreground", "wg0"}, none)).To(Equal(call{name: "wg0", foreground: true}))
	g.Expect(parse([]string{"wg0"}, func(name string) string {
		return map[string]string{foregroundVariable: "1", "LOG_LEVEL": "verbose"}[name]
	})).
		To(Equal(call{name: "wg0", foreground: true, log: "verbose"}))
	for _, args := range [][]string{nil, {"a", "b"}, {"-f"}, {""}, {"a/b"}, {".."}, {"sixteen-letters-"}, {"--help"}} {
		_, err := parse(args, none)
		g.Expect(err).To(MatchError(errUsage), "%q", args)
	}
}

func TestDescriptorsThatMakeNoSense(t *testing.T) {
	g := NewWithT(t)
	t.Setenv(tunVariable, "one")
	_, err := inherited(tunVariable)
	g.Expect(err).To(MatchError(ContainSubstring(tunVariable)))
	t.Setenv(tunVariable, "")
	g.Expect(inherited(tunVariable)).To(BeNil())
}
