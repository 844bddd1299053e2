// Package house holds the tests that keep the house in order: which package
// may import which, that every package says what it is for, that one thing has
// one word, and that the documentation says what the code does.
//
// It has nothing to import.
package house
