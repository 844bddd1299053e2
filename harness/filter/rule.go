package filter

import "fmt"

// Rule is a rule, or a chain's policy, that decided about a packet.
type Rule struct {
	Node    string `json:"node"`
	Family  string `json:"family"` // ip, ip6, inet, bridge, …
	Table   string `json:"table"`
	Chain   string `json:"chain"`
	Handle  int    `json:"handle,omitempty"` // zero for a policy
	Text    string `json:"text"`             // as the tool prints it, or "policy drop"
	Verdict string `json:"verdict"`          // accept, drop, reject, …
	File    string `json:"file,omitempty"`   // /etc/nftables.conf; "" when it stands in no file
	Line    int    `json:"line,omitempty"`
}

// String names the rule as vps:/etc/iptables/rules.v4:12.
func (r Rule) String() string {
	switch {
	case r.File == "":
		return fmt.Sprintf("%s: %s %s %s: %s", r.Node, r.Family, r.Table, r.Chain, r.Text)
	case r.Line == 0:
		return fmt.Sprintf("%s:%s", r.Node, r.File)
	}
	return fmt.Sprintf("%s:%s:%d", r.Node, r.File, r.Line)
}
