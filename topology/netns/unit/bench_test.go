package unit

import (
	"os"
	"testing"
)

func BenchmarkLoad(b *testing.B) {
	root := os.Getenv("UNIT_ROOT")
	if root == "" {
		b.Skip("UNIT_ROOT names no root")
	}
	for b.Loop() {
		if _, err := Load(os.DirFS(root), "vps"); err != nil {
			b.Fatal(err)
		}
	}
}
