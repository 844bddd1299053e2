package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock holds the cache against other processes that make roots there. The
// kernel lets go of it when the process ends, however it ends.
func lock(ctx context.Context, name string, waiting func()) (release func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the cache: %w", err)
	}
	unlock := func() { f.Close() }
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return unlock, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		unlock()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	waiting()
	locked := make(chan error, 1)
	go func() { locked <- flock(int(f.Fd())) }()
	select {
	case err := <-locked:
		if err != nil {
			unlock()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return unlock, nil
	case <-ctx.Done():
		// flock cannot be interrupted from here: whoever gives up lets go of it
		// as soon as it has it.
		go func() { <-locked; unlock() }()
		return nil, fmt.Errorf("wait for another process that makes the root file system: %w", ctx.Err())
	}
}

func flock(fd int) error {
	for {
		err := unix.Flock(fd, unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
