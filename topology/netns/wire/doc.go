// Package wire carries requests to the processes inside a lab: one message and
// its descriptors each way, over a unix socket of sequenced packets.
//
// Every request brings a socket of its own for the replies, so requests never
// wait for one another, and a caller that goes away is seen as end of file.
//
//	caller --{op, body} + reply socket + descriptors--> server
//	caller <--reply + descriptors---------------------- server   (once or more)
package wire
