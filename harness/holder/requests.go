package holder

import "github.com/pbsdrill/pbsdrill/topology"

// The requests that a holder answers.
const (
	opDescribe = "describe"
	opRun      = "run"
	opDown     = "down"
)

// Description is what a holder tells about its lab.
type Description struct {
	State
	Memory map[string]int64 `json:"memory,omitempty"` // node → bytes, proportional
	Facts  topology.Facts   `json:"facts"`
}

// runRequest runs a command on a node. Its descriptors are stdin, stdout and
// stderr, or none when it wants a terminal, which then comes with the first
// reply. The second reply is the end.
type runRequest struct {
	Node     string   `json:"node"`
	Argv     []string `json:"argv"`
	Env      []string `json:"env,omitempty"`
	Terminal bool     `json:"terminal"`
}

type runReply struct {
	Exit   int    `json:"exit"`
	Signal string `json:"signal,omitempty"`
}
