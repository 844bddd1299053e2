// Package filter is the packet filter of a node: its trace, its rules, and
// where in the node's files each rule stands.
//
// It parses what nft and iptables print and what their files say. It runs
// nothing itself and has no privileges.
package filter
