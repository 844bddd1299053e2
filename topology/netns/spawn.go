package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology/netns/child"
	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// spawnRequest starts a command. Its descriptors are stdin, stdout and stderr,
// or none when it asks for a terminal; the first reply then brings the
// terminal's other end. The second reply is the exit.
type spawnRequest struct {
	Argv     []string `json:"argv"`
	Env      []string `json:"env"`
	Dir      string   `json:"dir"`
	Terminal bool     `json:"terminal"`
}

type spawnReply struct {
	PID    int    `json:"pid,omitempty"`
	Exited bool   `json:"exited,omitempty"`
	Exit   int    `json:"exit"`
	Signal string `json:"signal,omitempty"`
}

// nodeEnv is the environment of a root login, less the session.
var nodeEnv = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8",
}

func (a *agent) spawn(r *wire.Request) error {
	var q spawnRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	path, err := lookPath(q.Argv)
	if err != nil {
		return err
	}
	spec := child.Spec{Path: path, Argv: q.Argv, Dir: q.Dir, Env: append(append([]string{}, nodeEnv...), q.Env...), Sys: &syscall.SysProcAttr{Setsid: true}}
	if spec.Dir == "" {
		spec.Dir = "/root"
	}
	files := r.Files
	var terminal *os.File
	if q.Terminal {
		var theirs *os.File
		if terminal, theirs, err = openTerminal(); err != nil {
			return err
		}
		defer func() { _, _ = terminal.Close(), theirs.Close() }()
		files = []*os.File{theirs, theirs, theirs}
		spec.Sys.Setctty = true
	}
	if len(files) != 3 {
		return fmt.Errorf("run %s: %d streams instead of 3", q.Argv[0], len(files))
	}
	for _, f := range files {
		// The caller's runtime made the pipes non-blocking; a command would
		// see EAGAIN instead of waiting for its reader.
		if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
			return fmt.Errorf("run %s: %w", q.Argv[0], err)
		}
		spec.Files = append(spec.Files, f.Fd())
	}
	pid, exited, err := a.children.Start(spec)
	if err != nil {
		return err
	}
	for _, f := range files {
		_ = f.Close() // else their readers would never see the end
	}
	if terminal != nil {
		err = r.Reply(spawnReply{PID: pid}, terminal)
	} else {
		err = r.Reply(spawnReply{PID: pid})
	}
	if err != nil {
		_ = unix.Kill(-pid, unix.SIGKILL)
		return err
	}
	gone := make(chan struct{})
	go func() { r.Gone(); close(gone) }()
	select {
	case status := <-exited:
		return r.Reply(exitReply(status))
	case <-gone:
		_ = unix.Kill(-pid, unix.SIGKILL) // the whole session: it began with setsid
		<-exited
		return nil
	}
}

func exitReply(status syscall.WaitStatus) spawnReply {
	if status.Signaled() {
		return spawnReply{Exited: true, Exit: 128 + int(status.Signal()), Signal: status.Signal().String()}
	}
	return spawnReply{Exited: true, Exit: status.ExitStatus()}
}

func lookPath(argv []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("run: no command given")
	}
	if strings.Contains(argv[0], "/") {
		return argv[0], nil
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return "", fmt.Errorf("run %s: %w", argv[0], syscall.ENOENT)
	}
	return path, nil
}

// openTerminal makes a pseudo-terminal of this node.
func openTerminal() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	var n int
	rc, err := ours.SyscallConn()
	if err == nil {
		cerr := rc.Control(func(fd uintptr) {
			if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
				n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			}
		})
		err = errors.Join(err, cerr)
	}
	if err == nil {
		theirs, err = os.OpenFile(filepath.Join("/dev/pts", fmt.Sprint(n)), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	return ours, theirs, nil
}
