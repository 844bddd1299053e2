// Package doctor says what this machine can do for a lab: what works, what is
// missing, what that weakens, and the command that mends it.
//
// Settings are read, and what can be tried is tried for real, in namespaces
// that end with the trial. Nothing of the machine is changed: a kernel module
// that is on disk and not loaded is reported as such and left where it is,
// since the trial itself would load it.
//
//	Machine (files, programs, trials) --Examine--> Report
package doctor
