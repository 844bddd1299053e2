// Package child starts and reaps processes for one that is PID 1 of its
// namespace: besides its own children it inherits every orphan, so os/exec,
// which waits for one process at a time, would leave zombies or lose exits.
package child
