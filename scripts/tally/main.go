package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

// exitNothing is "could not test" in the project's table of exit codes.
const exitNothing = 3

func main() {
	save := flag.String("save", "", "read go test -json from stdin, show what matters, keep all of it in `FILE`")
	flag.Parse()
	count, err := run(*save, flag.Args(), os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(exitNothing)
	}
	fmt.Println(count)
	os.Exit(count.exit())
}

func run(save string, files []string, in io.Reader, out io.Writer) (Count, error) {
	if save == "" {
		return countFiles(files)
	}
	kept, err := os.Create(save)
	if err != nil {
		return Count{}, err
	}
	count, err := follow(io.TeeReader(in, kept), out)
	if closed := kept.Close(); err == nil {
		err = closed
	}
	return count, err
}
