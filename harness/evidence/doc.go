// Package evidence is the record of a run: what each spec found, the commands
// and probes behind it, and the files that prove it. Everything is redacted on
// the way in and written as it goes.
//
// A run's folder is runs/<time>-<site>/. The report is made from it and from
// nothing else.
package evidence
