// Package firewall checks who can reach whom: every flow that the site's
// promises name, and every other one.
//
// One file is one promise. The matrix of flows is generated from promises.reach
// and its complement; the rest are questions that a matrix of single new
// connections cannot ask.
package firewall
