package wireguard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

// The variables by which the program hands what it has opened to itself.
const (
	tunVariable        = "WG_TUN_FD"
	socketVariable     = "WG_UAPI_FD"
	readyVariable      = "WG_READY_FD"
	foregroundVariable = "WG_PROCESS_FOREGROUND"
)

// detach makes the interface and the control socket, hands both to a daemon
// and returns once that answers: wg-quick configures the tunnel right after.
func detach(c call) error {
	t, err := openTUN(c.name)
	if err != nil {
		return err
	}
	defer t.Close()
	socket, err := ipc.UAPIOpen(c.name)
	if err != nil {
		return fmt.Errorf("open the control socket of %s: %w", c.name, err)
	}
	defer socket.Close()
	ready, told, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer ready.Close()
	err = c.spawn(t.File(), socket, told)
	if err := errors.Join(err, told.Close()); err != nil {
		return err
	}
	// One byte when it is up; nothing but the end when it died.
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return fmt.Errorf("the daemon for %s ended before it was ready: LOG_LEVEL=verbose shows why", c.name)
	}
	return nil
}

// spawn starts the daemon: this very program, which may no longer have a name
// on disk, in a session of its own.
func (c call) spawn(files ...*os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	out := []*os.File{null, null, null}
	if c.log != "" && c.log != "silent" {
		out[1], out[2] = os.Stdout, os.Stderr
	}
	env := append(os.Environ(), foregroundVariable+"=1")
	for i, name := range []string{tunVariable, socketVariable, readyVariable} {
		env = append(env, name+"="+strconv.Itoa(3+i))
	}
	p, err := os.StartProcess("/proc/self/exe", []string{os.Args[0], c.name}, &os.ProcAttr{
		Dir: "/", Env: env, Files: append(out, files...), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start the daemon for %s: %w", c.name, err)
	}
	return p.Release()
}

func openTUN(name string) (tun.Device, error) {
	t, err := tun.CreateTUN(name, device.DefaultMTU)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("make the interface %s: there is one of that name: %w", name, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("make the interface %s: /dev/net/tun cannot be used: %w", name, err)
	case err != nil:
		return nil, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return t, nil
}

// inherited is a file that the caller has opened, nil without one.
func inherited(variable string) (*os.File, error) {
	text := os.Getenv(variable)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s=%q is no descriptor", variable, text)
	}
	if err := unix.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("%s=%s: %w", variable, text, err)
	}
	unix.CloseOnExec(int(fd))
	return os.NewFile(uintptr(fd), variable), nil
}
