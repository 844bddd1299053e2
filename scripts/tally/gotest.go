package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json, as "go doc test2json" describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// packageState is what is known of a package while its tests run.
type packageState struct {
	output map[string][]string // by test; "" is the package itself
	tests  int
	failed int
}

// follow reads go test -json to its end and writes a line for each package, and
// all the output of what failed. Lines that are no events are passed on: the go
// command prints its own errors plainly.
func follow(in io.Reader, out io.Writer) (Count, error) {
	var count Count
	packages := map[string]*packageState{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		p := packages[e.Package]
		if p == nil {
			p = &packageState{output: map[string][]string{}}
			packages[e.Package] = p
		}
		count.add(p.take(e, out))
	}
	return count, lines.Err()
}

// take notes one event and returns what it adds to the count.
func (p *packageState) take(e event, out io.Writer) Count {
	switch e.Action {
	case "output", "build-output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
		if e.Action == "build-output" {
			fmt.Fprint(out, e.Output)
		}
		return Count{}
	case "pass", "fail", "skip":
		if e.Test == "" {
			return p.end(e, out)
		}
		return p.endTest(e, out)
	}
	return Count{}
}

func (p *packageState) endTest(e event, out io.Writer) Count {
	defer delete(p.output, e.Test)
	p.tests++
	switch e.Action {
	case "fail":
		p.failed++
		fmt.Fprint(out, strings.Join(p.output[e.Test], ""))
		return Count{Failed: 1}
	case "skip":
		return Count{Skipped: 1}
	}
	return Count{Passed: 1}
}

func (p *packageState) end(e event, out io.Writer) Count {
	if e.Action == "skip" { // no test files
		return Count{}
	}
	fmt.Fprintf(out, "%-5s %s (%d tests, %.1fs)\n", e.Action, e.Package, p.tests, e.Elapsed)
	if e.Action == "fail" && p.failed == 0 {
		fmt.Fprint(out, strings.Join(p.output[""], ""))
		return Count{Failed: 1}
	}
	return Count{}
}
