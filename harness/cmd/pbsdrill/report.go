package main

import (
	"github.com/spf13/cobra"
)

func (a *app) reportCommand() *cobra.Command {
	var junit string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Make the reports of a run again, and print its summary",
		Long: `Makes report.html, report.json and junit.xml of a run's folder again, from the
evidence in it, also of a run that was killed. Ends with the run's exit code.`,
		Example: "  pbsdrill report runs/2026-11-22T01-30-12-homelab-vps",
		Args:    named("RUN"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.conclusion(args[0], junit) },
	}
	c.Flags().StringVar(&junit, "junit", "", "also write the JUnit file here")
	return c
}
