package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where a lab is to run. Its fields are what [Examine] asks.
type Machine struct {
	Root    fs.FS  // the machine's /
	Release string // of the kernel: 6.18.44
	User    string
	UID     int
	Cache   string                                 // folder of the roots that were made
	Free    uint64                                 // bytes free there
	Look    func(program string) (string, error)   // as exec.LookPath
	GoFound func(context.Context) (string, error)  // "go1.26.8"
	Cached  func() (string, error)                 // the root that a lab would use; "" when none was made yet
	Try     func(context.Context, []string) Trials // see [Trials]; gets the names of what to leave out
}

// Here is the machine that this process runs on. The cache is the folder that
// roots are kept in; cached tells the root in it, "" when there is none.
func Here(cache string, cached func() (string, error)) Machine {
	m := Machine{
		Root: os.DirFS("/"), Release: release(), User: strconv.Itoa(os.Getuid()), UID: os.Getuid(), Cache: cache, Free: free(cache),
		Look: exec.LookPath, GoFound: goFound(cache), Cached: cached, Try: try,
	}
	if u, err := user.Current(); err == nil {
		m.User = u.Username
	}
	return m
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// free is the space where dir is, or where it will be made.
func free(dir string) uint64 {
	for dir != "" {
		var s unix.Statfs_t
		if unix.Statfs(dir, &s) == nil {
			return s.Bavail * uint64(s.Bsize)
		}
		cut := strings.LastIndexByte(dir, '/')
		if cut <= 0 {
			dir = "/"
			continue
		}
		dir = dir[:cut]
	}
	return 0
}

func goFound(cache string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		programs := []string{"go", "/usr/local/go/bin/go"}
		// The set-up keeps the pinned one beside the roots.
		kept, _ := filepath.Glob(filepath.Join(cache, "go-*", "bin", "go"))
		var best string
		var errs []error
		for _, program := range append(programs, kept...) {
			c := exec.CommandContext(ctx, program, "env", "GOVERSION")
			c.Dir = "/" // not in a module, whose toolchain line could make go download another
			out, err := c.Output()
			version := string(bytes.TrimSpace(out))
			if err == nil && (best == "" || atLeast(version, strings.TrimPrefix(best, "go"))) {
				best = version
			}
			errs = append(errs, err)
		}
		if best == "" {
			return "", errors.Join(errs...)
		}
		return best, nil
	}
}
