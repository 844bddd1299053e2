package conformance_test

import (
	"os"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A machine that cannot have a lab is made out of this one: in a user
// namespace of its own, where the limits and the devices are ours to change.
var _ = Describe("a machine that forbids labs is told what to change", func() {
	// without runs the holder of cleanup_test.go after a change.
	without := func(ctx SpecContext, change string, files map[string]string) string {
		GinkgoHelper()
		site := house(files)
		script := change + ` && exec -a "$0" /proc/self/fd/3 "$1" forbidden`
		c := exec.CommandContext(ctx, "unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script, holderName, site.Dir)
		self, err := os.Open("/proc/self/exe")
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = self.Close() }()
		c.ExtraFiles = []*os.File{self}
		out, err := c.CombinedOutput()
		Expect(err).To(HaveOccurred(), string(out))
		return string(out)
	}

	It("when user namespaces are off", func(ctx SpecContext) {
		Expect(without(ctx, "echo 0 > /proc/sys/user/max_user_namespaces", nil)).To(And(
			ContainSubstring("/proc/sys/user/max_user_namespaces is 0"), ContainSubstring("sysctl user.max_user_namespaces=")))
	}, SpecTimeout(time.Minute))
})
