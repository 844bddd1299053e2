// Package soak kills labs at random moments and looks for what is left of them.
//
// A lab is brought up by a child process that is killed (SIGKILL, so nothing in
// it can clean up) at a moment drawn from a seed. What must be gone then is
// written down while the lab lives, so that other labs on the machine, which
// come and go, do not matter: its processes, and the namespaces that they were
// in. The rest is compared with how it was before: mounts, links, sockets and
// files that carry our mark.
//
// The killer adopts the child's orphans (PR_SET_CHILD_SUBREAPER), so that it
// sees every process that outlives the child, whatever it is called.
package soak
