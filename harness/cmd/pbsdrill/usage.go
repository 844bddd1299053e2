package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// onlyCommands is for a command that only holds others: an argument is a
// command that does not exist.
func onlyCommands(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	return fail(Usage, "%s has no command %q%s", commandOf(c), args[0], wayOut(args[0], known))
}

// named wants exactly these arguments, and says which one is missing.
func named(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fail(Usage, "%s: %s is missing; usage: %s", commandOf(c), names[len(args)], c.UseLine())
		case len(args) > len(names):
			return fail(Usage, "%s: %q is too much; usage: %s", commandOf(c), args[len(names)], c.UseLine())
		}
		return nil
	}
}

// flagProblem is a mistake in a flag, with the flag that was probably meant.
func flagProblem(c *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return fail(Usage, "%s: %w; see pbsdrill %s --help", commandOf(c), err, commandOf(c))
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	word := "--" + missing.GetSpecifiedName()
	if missing.GetSpecifiedShortnames() != "" {
		word = "-" + missing.GetSpecifiedName()
	}
	return fail(Usage, "%s has no flag %s%s", commandOf(c), word, wayOut(word, known))
}

// wayOut ends a message about an unknown word: the known word that it is a slip
// of, else all of them.
func wayOut(word string, known []string) string {
	slices.Sort(known)
	best, distance := "", len(word)/3+2
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) == 0:
		return ""
	}
	return "; known: " + strings.Join(slices.Compact(known), ", ")
}

// commandOf is the command as it is typed after "pbsdrill ".
func commandOf(c *cobra.Command) string {
	if _, words, below := strings.Cut(c.CommandPath(), " "); below {
		return words
	}
	return c.Name()
}
