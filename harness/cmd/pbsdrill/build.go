package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/sweep"
)

// build builds the suites of a drill, each into a file of this process's own:
// ginkgo would build them all into one name, which another run at the same time
// would overwrite and remove. The file lies in the suite's folder, because that
// becomes the suite's working directory. The function that is returned removes
// the files, also after an error.
func (a *app) build(ctx context.Context, d *drill) (remove func(), err error) {
	build := a.buildSuite
	if build == nil {
		build = goTestC
	}
	remove = func() {
		for _, file := range d.binaries {
			_ = os.Remove(filepath.Join(d.module.dir, file)) // it may never have been built
		}
	}
	var errs []error
	for _, suite := range d.suites {
		file := "./" + filepath.Join("suites", suite, sweep.BinaryName(os.Getpid()))
		d.binaries = append(d.binaries, file)
		errs = append(errs, build(ctx, d.module, suite, file))
	}
	return remove, errors.Join(errs...)
}

// goTestC is `go test -c`, as ginkgo does it.
func goTestC(ctx context.Context, m module, suite, file string) error {
	c := exec.CommandContext(ctx, m.goTool(), "test", "-c", "-o", file, "./suites/"+suite)
	c.Dir = m.dir
	c.Env = append(os.Environ(), environment...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // go then removes what it made
	c.WaitDelay = 5 * time.Second
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build the suite %s: %w\n%s", suite, err, bytes.TrimSpace(out))
	}
	return nil
}
