package netns

import (
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

type bootState struct{}

func (a *agent) bootUnits(r *wire.Request) error { return r.Reply(nil) }
func (a *agent) units(r *wire.Request) error     { return r.Reply(nil) }
func (a *agent) journal(r *wire.Request) error   { return r.Reply(nil) }
