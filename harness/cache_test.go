package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// go test answers from its cache when no file within the module has changed,
// and a site may lie anywhere. A verdict from before the change would be worse
// than none.
func TestASuiteIsNeverServedFromTheTestCache(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a suite")
	}
	t.Parallel()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	site := t.TempDir() // outside the module
	if err := os.CopyFS(site, os.DirFS(filepath.Join(root, "fixtures", "sites", "homelab-vps"))); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		c := exec.Command("go", "test", "./suites/firewall", "-args", "-site="+site, "-ginkgo.dry-run")
		c.Dir = root
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for range 2 {
		if out, err := run(); err != nil || strings.Contains(out, "(cached)") {
			t.Fatalf("an untouched site: %v\n%s", err, out)
		}
	}
	wg := filepath.Join(site, "nodes", "vps", "etc", "wireguard", "wg0.conf")
	if err := os.WriteFile(wg, []byte("[Interface]\nPrivateKey = broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil || !strings.Contains(out, "nodes/vps/etc/wireguard/wg0.conf:2") {
		t.Errorf("a broken site: %v\n%s", err, out)
	}
}
