// Package filter is the packet filter of a node: its trace, its rules, and
// where in the node's files each rule stands.
//
// It parses what nft and iptables print and what their files say. It runs
// nothing itself and has no privileges.
//
//	nft -a monitor trace  --ReadTrace-->     Event (table, chain, handle, verdict)
//	nft -a list ruleset   --ParseRuleset-->  Ruleset (which rule of its chain that is)
//	rules.v4, nftables.conf  --ReadSaved-->  Saved (which line of which file)
package filter
