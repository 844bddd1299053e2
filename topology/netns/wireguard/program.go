package wireguard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Program is wireguard-go, to be registered with a driver whose kernel may
// lack WireGuard.
func Program() topology.Program {
	return topology.Program{Name: "wireguard-go", Path: "/usr/bin/wireguard-go", Main: Main}
}

// Main is wireguard-go [-f|--foreground] INTERFACE. It returns the exit code.
func Main() int {
	call, err := parse(os.Args[1:], os.Getenv)
	if err == nil {
		err = call.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wireguard-go:", err)
		return 1
	}
	return 0
}

// call is one way in which the program was called.
type call struct {
	name       string // of the interface
	foreground bool
	log        string // LOG_LEVEL
}

// errUsage is the answer to arguments that make no sense.
var errUsage = errors.New("usage: wireguard-go [-f|--foreground] INTERFACE")

func parse(args []string, getenv func(string) string) (call, error) {
	c := call{foreground: getenv(foregroundVariable) == "1", log: getenv("LOG_LEVEL")}
	if len(args) > 0 && (args[0] == "-f" || args[0] == "--foreground") {
		c.foreground = true
		args = args[1:]
	}
	if len(args) != 1 {
		return c, errUsage
	}
	c.name = args[0]
	// The name becomes a file name; the kernel's own limit is 15 bytes.
	if c.name == "" || len(c.name) > 15 || c.name[0] == '-' || filepath.Base(c.name) != c.name || c.name == "." || c.name == ".." {
		return c, fmt.Errorf("%q is no name of an interface: %w", c.name, errUsage)
	}
	return c, nil
}

func (c call) run() error {
	if c.foreground {
		return serve(c)
	}
	return detach(c)
}
