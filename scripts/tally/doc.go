// Command tally counts what tests did, from go test -json and JUnit files, so
// that a run that tested nothing is never taken for one that passed.
//
//	go test -json ./... | tally -save runs/tests/unit.json   show and keep
//	tally runs/tests/*                                        count what is kept
//
// Its last line is "N passed, N failed, N skipped". It exits 1 if something
// failed, and 3 if nothing ran.
package main
