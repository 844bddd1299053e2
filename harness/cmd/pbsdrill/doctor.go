package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/doctor"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do, and the commands that mend the rest",
		Long: `Looks at settings and tries for real what a lab needs, in namespaces that end
with the trial. It changes nothing.

Ends with 0 when a lab can run here, with 3 when none can.`,
		Example: `  pbsdrill doctor
  pbsdrill doctor --json | jq -r '.lines[] | select(.state != "ok") | .mend'`,
		Args: named(),
		RunE: func(c *cobra.Command, _ []string) error {
			r := doctor.Examine(c.Context(), a.machine())
			if err := a.print(r, func() { a.doctorText(r) }); err != nil {
				return err
			}
			if !r.CanRun {
				return exit(CouldNotTest)
			}
			return nil
		},
	}
}

func (a *app) doctorText(r doctor.Report) {
	colors := map[doctor.State]string{doctor.OK: green, doctor.Weaker: yellow, doctor.Missing: red}
	for _, l := range r.Lines {
		fmt.Fprintf(a.out, "%s  %-16s %s\n", a.paint(colors[l.State], fmt.Sprintf("%-7s", l.State)), l.Name, l.Saw)
		if l.Weakens != "" {
			fmt.Fprintf(a.out, "%27s%s\n", "weakens  ", l.Weakens)
		}
		if l.Mend != "" {
			fmt.Fprintf(a.out, "%27s%s\n", "mend     ", l.Mend)
		}
	}
	if r.CanRun {
		fmt.Fprintln(a.out, "A lab can run here.")
		return
	}
	fmt.Fprintln(a.out, "No lab can run here until what is missing is mended.")
}

// machine is this machine, with the cache that the netns driver uses.
func (a *app) machine() doctor.Machine {
	cache, err := rootfs.DefaultCache()
	return doctor.Here(cache, func() (string, error) {
		if err != nil {
			return "", err
		}
		made, err := filepath.Glob(filepath.Join(cache, "debian-*.tar.sha256"))
		if err != nil || len(made) == 0 {
			return "", err
		}
		return strings.TrimSuffix(made[len(made)-1], ".sha256"), nil
	})
}
