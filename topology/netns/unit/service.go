package unit

import (
	"io/fs"
	"syscall"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Service is the [Service] section, as far as it is honoured.
type Service struct {
	Type            string // simple, exec, oneshot, notify, forking
	RemainAfterExit bool
	Commands        map[string][]Command // by key: ExecStart, ExecStartPre, …

	Environment []string // NAME=VALUE
	EnvFiles    []envFile
	PassEnv     []string
	Unset       []string

	User, Group string
	Groups      []string // SupplementaryGroups=
	Dir         string
	DirOptional bool
	Umask       int

	Directories []directory
	PIDFile     string

	TimeoutStart, TimeoutStop time.Duration
	KillSignal                syscall.Signal
	KillMode                  string
	Success                   map[int]bool // SuccessExitStatus=, codes
	SuccessSignals            map[string]bool
	Restart                   string // recorded: nothing is started again
	at                        topology.Position
}

type envFile struct {
	path     string
	optional bool
	at       topology.Position
}

// directory is RuntimeDirectory= and its kin.
type directory struct {
	parent string // /run, /var/lib, …
	names  []string
	mode   fs.FileMode
}

// parents are the folders in which a service's own are made.
var parents = map[string]string{
	"RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "CacheDirectory": "/var/cache",
	"LogsDirectory": "/var/log", "ConfigurationDirectory": "/etc",
}

// defaultTimeout is systemd's DefaultTimeoutStartSec= and …StopSec=.
const defaultTimeout = 90 * time.Second

// defaultUmask is systemd's own and that of every node.
const defaultUmask = 0o022

func newService(at topology.Position) *Service {
	return &Service{
		Commands: map[string][]Command{}, Umask: defaultUmask, at: at,
		TimeoutStop: defaultTimeout, KillSignal: syscall.SIGTERM, KillMode: "control-group",
		Success: map[int]bool{0: true}, SuccessSignals: map[string]bool{},
	}
}
