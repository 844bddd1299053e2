package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// called is the name under which this binary runs itself for the trials.
const called = "pbsdrill-doctor"

// shifted is where the ids of root's trial lie: above the usual sub-id ranges.
const shifted = 0x5bd10000

// trialLimit ends a trial that hangs, such as a file system that never answers.
const trialLimit = 10 * time.Second

// init, because the trials run in this very binary, whichever it is, and before
// its own flags are read.
func init() {
	if os.Args[0] == called {
		os.Exit(inside(os.Args[1:]))
	}
}

// try makes the namespaces of a lab around a child of ours, maps ids into them
// as a lab does, and has the child try the rest.
func try(ctx context.Context, leave []string) Trials {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	var t Trials
	child, start, err := namespaces(ctx, leave)
	if err != nil {
		t.Namespaces = Trial{Tried: true, Error: reason(err)}
		return t
	}
	var ids error
	if os.Getuid() != 0 {
		ids = mapIDs(ctx, child.Process.Pid)
	}
	if ids != nil {
		// without a range one id still shows whether the rest works
		if err := mapOne(child.Process.Pid); err != nil {
			ids = errors.Join(ids, err)
		}
	}
	_, err = io.WriteString(start, "\n")
	err = errors.Join(err, start.Close(), child.Wait())
	out := child.Stdout.(*bytes.Buffer).Bytes()
	if len(out) == 0 {
		words := strings.TrimSpace(child.Stderr.(*bytes.Buffer).String())
		t.Namespaces = Trial{Tried: true, Error: fmt.Sprintf("%s %v", words, err)}
	} else if err := json.Unmarshal(out, &t); err != nil {
		t.Namespaces = Trial{Tried: true, Error: fmt.Sprintf("read the trials: %v", err)}
	}
	t.Ids = Trial{Tried: true, Error: reason(ids)}
	return t
}

func namespaces(ctx context.Context, leave []string) (*exec.Cmd, io.WriteCloser, error) {
	c := exec.CommandContext(ctx, "/proc/self/exe")
	c.Args = append([]string{called, "mapped?"}, leave...)
	c.Env = []string{}
	c.Dir = "/"
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
		syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	if os.Getuid() == 0 {
		// root gives ids by itself, and becomes one of them
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: shifted, Size: 65536}}
		c.SysProcAttr.UidMappings, c.SysProcAttr.GidMappings = ids, ids
		c.SysProcAttr.GidMappingsEnableSetgroups = true
		c.SysProcAttr.Credential = &syscall.Credential{}
	}
	in, err := c.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return c, in, c.Start()
}

// mapIDs maps what a user's lab maps: the user's own id, and the range that
// /etc/subuid gives.
func mapIDs(ctx context.Context, pid int) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		tool, table string
		own         int
	}{{"newgidmap", "/etc/subgid", os.Getgid()}, {"newuidmap", "/etc/subuid", os.Getuid()}} {
		text, err := os.ReadFile(m.table)
		if err != nil {
			return err
		}
		r := subordinate(string(text), me.Username, os.Getuid())
		if r.Count == 0 {
			return fmt.Errorf("%s has no range for %s", m.table, me.Username)
		}
		args := []string{strconv.Itoa(pid), "0", strconv.Itoa(m.own), "1", "1", strconv.Itoa(int(r.First)), strconv.Itoa(int(r.Count))}
		if out, err := exec.CommandContext(ctx, m.tool, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", m.tool, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

func mapOne(pid int) error {
	for _, m := range [][2]string{
		{"uid_map", fmt.Sprintf("0 %d 1\n", os.Getuid())},
		{"setgroups", "deny"},
		{"gid_map", fmt.Sprintf("0 %d 1\n", os.Getgid())},
	} {
		err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, m[0]), []byte(m[1]), 0)
		// a map that newgidmap wrote before newuidmap failed stays as it is
		if err != nil && !errors.Is(err, syscall.EPERM) {
			return err
		}
	}
	return nil
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
