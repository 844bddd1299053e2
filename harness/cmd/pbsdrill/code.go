package main

import (
	"errors"
	"fmt"
	"strings"
)

// Code is what a command exits with.
type Code int

// The exit codes. They are part of what scripts rely on: none changes its
// meaning.
const (
	Held         Code = 0
	PromiseFails Code = 1
	Usage        Code = 2
	CouldNotTest Code = 3
	Refused      Code = 4
	Undone       Code = 5
	HandsNeeded  Code = 6
	Interrupted  Code = 130
)

// codes is the table that help and docs/exit-codes.md show.
var codes = []struct {
	Code    Code
	Meaning string
	More    string
}{
	{Held, "held", "every promise that was judged held, or what was asked for was done"},
	{PromiseFails, "a promise failed", "at least one promise did not hold, and no waiver covers it"},
	{Usage, "usage", "the command line or the site cannot be understood"},
	{CouldNotTest, "could not test", "too little was judged to say anything; never counts as held"},
	{Refused, "refused for safety", "it would have changed what it must not change"},
	{Undone, "aborted and undone", "it stopped half-way and took everything back"},
	{HandsNeeded, "hands needed", "something could not be taken back, and is named"},
	{Interrupted, "interrupted", "Ctrl-C; what was made is undone, what was found is reported"},
}

func (c Code) String() string {
	for _, row := range codes {
		if row.Code == c {
			return row.Meaning
		}
	}
	return "the command's own"
}

func codeTable() string {
	var b strings.Builder
	for _, row := range codes {
		fmt.Fprintf(&b, "  %3d  %-19s %s\n", row.Code, row.Meaning, row.More)
	}
	return b.String()
}

// failure is an error that knows its exit code.
type failure struct {
	code Code
	err  error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

func fail(code Code, format string, args ...any) error {
	return failure{code, fmt.Errorf(format, args...)}
}

// exit is a code without anything left to say.
type exit Code

func (e exit) Error() string { return Code(e).String() }

// codeOf is the code of an error; one that knows none could not do what was
// asked, which is no verdict about any promise.
func codeOf(err error) Code {
	var f failure
	var e exit
	switch {
	case err == nil:
		return Held
	case errors.As(err, &e):
		return Code(e)
	case errors.As(err, &f):
		return f.code
	}
	return CouldNotTest
}
