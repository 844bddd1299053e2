package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams is where a command reads and writes, and what is known about it.
type streams struct {
	in       io.Reader
	out      io.Writer // results
	err      io.Writer // everything else
	redraw   bool      // err is a terminal: progress may redraw its line
	color    bool      // out may have colour
	terminal bool      // in and out are a terminal: somebody can answer
}

func standard() streams {
	_, plain := os.LookupEnv("NO_COLOR")
	in, out, err := isTerminal(os.Stdin), isTerminal(os.Stdout), isTerminal(os.Stderr)
	dumb := os.Getenv("TERM") == "dumb"
	return streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, redraw: err && !dumb, color: out && !plain && !dumb, terminal: in && out}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// paint puts text in a colour of the terminal's palette, where there may be one.
func (s streams) paint(color, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)
