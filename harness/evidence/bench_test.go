package evidence

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkRedact is a megabyte of what a node prints, with as many secrets as
// the lab of a homelab has.
func BenchmarkRedact(b *testing.B) {
	var r Redactor
	for range 30 {
		r.Add(fresh(b, 32))
	}
	var text strings.Builder
	for i := 0; text.Len() < 1<<20; i++ {
		fmt.Fprintf(&text, "ip saddr 192.0.2.%d tcp dport 22 ct state new counter packets %d bytes 0 accept # handle %d\n", i%256, i, i)
	}
	line := []byte(text.String())
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.Bytes(line)
	}
}
