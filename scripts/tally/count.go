package main

import "fmt"

// Count is how many tests ended how. A package that does not build or whose
// test process dies counts as one failed test.
type Count struct {
	Passed, Failed, Skipped int
}

func (c Count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

func (c *Count) add(o Count) {
	c.Passed += o.Passed
	c.Failed += o.Failed
	c.Skipped += o.Skipped
}

func (c Count) exit() int {
	switch {
	case c.Failed > 0:
		return 1
	case c.Passed == 0:
		return exitNothing
	}
	return 0
}
