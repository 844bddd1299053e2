// Package holder keeps labs that outlive the command that brought them up.
//
// A holder is one background process per lab: the lab hangs off it as it would
// off a test, so the lab ends with the holder, however that ends. A holder is
// found by two files in a folder that belongs to the user alone, ID.json and
// the socket ID.sock; both are its own to remove.
//
//	pbsdrill lab up    --starts-->   holder --holds--> lab
//	pbsdrill lab shell --ID.sock-->  holder
package holder
