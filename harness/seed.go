package harness

import (
	"hash/fnv"
	"io"
	"math/rand/v2"

	"github.com/onsi/ginkgo/v2"
)

// runSeed is the seed from which every spec's chance comes.
func runSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	config, _ := ginkgo.GinkgoConfiguration()
	return uint64(config.RandomSeed)
}

// Random is the current spec's own source of chance. It comes from the run's
// seed and the spec's name alone, so neither a filter nor another order
// changes what a spec does.
func Random() *rand.Rand {
	return seeded(runSeed(), ginkgo.CurrentSpecReport().FullText())
}

func seeded(run uint64, spec string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, spec) // a hash takes everything
	return rand.New(rand.NewPCG(run, h.Sum64()))
}
