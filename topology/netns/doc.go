// Package netns is the driver that builds a site out of Linux namespaces.
//
// No process of the caller enters a namespace. A lab is one supervisor, this
// same binary under another name, which is PID 1 of a PID namespace inside a
// user namespace of its own; when it dies, and it dies when the caller's end of
// its socket closes, the kernel ends everything in the lab. Nothing of a lab has
// a name on the machine: no named namespace, no link, no file.
//
//	caller (ordinary process)
//	  └─ supervisor: user, PID, mount, net, UTS, IPC; holds the bridges
//	       ├─ agent of node pve: PID, mount, net, UTS, IPC; overlay of the root
//	       │    └─ the node's own units: nft, wg-quick, sshd, …
//	       └─ agent of node vps …
//
// The caller asks the supervisor for nodes and the agents for everything else,
// over unix sockets. A descriptor comes back wherever one can: a socket that
// was opened in a node's network namespace is used here like any other.
//
// The driver runs a site's files with the tools of a Debian 13 root file system
// (package rootfs), boots what they enable (package unit), and refuses to give
// a lab any way to the machine's own network.
//
// Who has neither root nor a range of sub-ids has one id to give: nodes then run
// the machine's own programs, below a layer of their own, and the facts say what
// that weakens.
package netns
