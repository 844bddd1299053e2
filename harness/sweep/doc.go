// Package sweep finds what a crash of the machine, or a killed process, left
// behind, and removes it.
//
// Labs leave nothing by construction, so there is little: files that say where
// a lab was, a root file system that was half made, a run's lock. Only what
// carries our mark is found, and a process only when it carries the mark of a
// run besides its name, and whoever started it is gone.
package sweep
