package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// tunDevice is what /dev/net/tun is: misc device 200 (Documentation/networking/tuntap.rst).
const tunDevice = 10<<8 | 200

// TunReady says whether a lab of this user can have userspace tunnels.
func TunReady() error {
	info, err := os.Stat(tunPath)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is missing; ask root for: modprobe tun", tunPath)
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", tunPath, err)
	}
	if os.Geteuid() == 0 {
		return nil // root's labs get a device node of their own
	}
	f, err := os.OpenFile(tunPath, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%s (mode %v) is closed to you, so there is no userspace WireGuard; ask root for: chmod 0666 %s", tunPath, info.Mode().Perm(), tunPath)
	}
	return f.Close()
}

// startWithTun starts a process of root's that finds /dev/net/tun open to
// everyone, in a mount namespace that the machine does not see: uid 0 of a lab
// is not root here, and some machines keep the device closed (0600).
//
// The thread that does it has mounts of its own afterwards, so it stays locked
// and ends with its goroutine.
func startWithTun(argv []string, attr *os.ProcAttr) (*os.Process, error) {
	type started struct {
		p   *os.Process
		err error
	}
	done := make(chan started, 1)
	go func() {
		runtime.LockOSThread()
		if err := privateTun(); err != nil {
			done <- started{err: err}
			return
		}
		p, err := os.StartProcess("/proc/self/exe", argv, attr)
		done <- started{p, err}
	}()
	s := <-done
	return s.p, s.err
}

func privateTun() error {
	info, err := os.Stat(tunPath)
	if err != nil || info.Mode().Perm()&0o006 == 0o006 {
		return nil // none at all: wg-quick will say so; open already: nothing to do
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/dev/net", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=64k"); err != nil {
		return fmt.Errorf("mount over /dev/net: %w", err)
	}
	if err := unix.Mknod(tunPath, unix.S_IFCHR|0o666, tunDevice); err != nil {
		return fmt.Errorf("make %s: %w", tunPath, err)
	}
	return os.Chmod(tunPath, 0o666)
}
