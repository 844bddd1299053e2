// Pbsdrill checks, plans and drills sites, and keeps labs to look around in.
//
// Results go to standard output, everything else to standard error. Nothing is
// asked where there is no terminal. How a command ended is its exit code; the
// table is in code.go.
package main
