package main

import (
	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/topology"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of site.yaml, for editors",
		Example: `  pbsdrill schema > site.schema.json
  # in site.yaml: # yaml-language-server: $schema=site.schema.json`,
		Args: named(),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(append(topology.Schema(), '\n'))
			return err
		},
	}
}
