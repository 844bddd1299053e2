package harness

import "github.com/onsi/ginkgo/v2"

// progress writes to where ginkgo shows what a failed spec said.
type progress struct{}

func (progress) Write(p []byte) (int, error) { return ginkgo.GinkgoWriter.Write(p) }
