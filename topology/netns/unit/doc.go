// Package unit boots a node from its own systemd units.
//
// It reads what the node's files enable, as systemd would: the links in
// /etc/systemd/system/*.wants and *.requires, unit files and drop-ins from the
// usual folders, templates, aliases, masks. It orders the units by After= and
// Before=, starts independent ones side by side, and says of each whether it
// is active, failed or inactive, why, and what it printed.
//
//	root --Load--> Set --Runner.Boot--> states, journals
//
// It is not systemd. What systemd itself does for a machine (devices, mounts,
// journald, its own helpers) is the driver's. A directive is honoured, or it is
// listed with the reason why it cannot change what a node does, or it is an
// error that names file and line: nothing that matters is passed over.
// Timers, sockets and Restart= are read and recorded, not acted on.
//
// It starts no process by itself: the caller's [Starter] does, since a node's
// PID 1 must be the only one that waits for children.
package unit
