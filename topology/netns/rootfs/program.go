package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Program is the argv[0] under which this binary, run again by [Enter],
// becomes the worker that writes files as the ids of a user namespace. Whoever
// supplies Enter calls [Main] for it.
const Program = "pbsdrill-rootfs"

// Main is the worker: "unpack DIR" takes a tarball from standard input, "copy
// FOLDER DIR" a folder, "remove DIR" removes. It returns the exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	unix.Umask(0o022)
	if err := work(ctx, args, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func work(ctx context.Context, args []string, stdin io.Reader) error {
	switch {
	case len(args) == 2 && args[0] == "unpack":
		return unpack(ctx, args[1], stdin, nil)
	case len(args) == 3 && args[0] == "copy":
		return copyFolder(ctx, args[1], args[2], nil)
	case len(args) == 2 && args[0] == "remove":
		return os.RemoveAll(args[1])
	}
	return errors.New("usage: " + Program + " unpack DIR | copy FOLDER DIR | remove DIR")
}
