package main

import (
	"context"
	"os"

	"github.com/pbsdrill/pbsdrill/fixtures/fakepbs"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// The stand-in for PBS; a node of ours may have started this very process as it.
func init() { netns.Register(fakepbs.Programs()...) }

// roles are what this binary is when it runs itself under another name.
var roles = map[string]func(args []string) int{
	guardName:  guard,
	holderName: hold,
	victimName: victim,
}

func main() {
	if role, ok := roles[os.Args[0]]; ok {
		os.Exit(role(os.Args[1:]))
	}
	a := &app{streams: standard()}
	os.Exit(int(a.run(context.Background(), os.Args[1:])))
}
