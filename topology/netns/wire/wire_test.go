package wire_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// served answers requests until the test ends.
func served(t *testing.T, handlers map[string]wire.Handler) *wire.Conn {
	t.Helper()
	ours, theirs, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	server, err := wire.FromFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- wire.Serve(server, handlers) }()
	t.Cleanup(func() {
		_ = ours.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		_ = server.Close()
	})
	return ours
}

func TestARequestAndItsReplyCarryDescriptors(t *testing.T) {
	g := NewWithT(t)
	c := served(t, map[string]wire.Handler{"upper": func(r *wire.Request) error {
		var suffix string
		if err := r.Decode(&suffix); err != nil {
			return err
		}
		text, err := io.ReadAll(r.Files[0])
		if err != nil {
			return err
		}
		in, out, err := os.Pipe()
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		_, err = io.WriteString(out, strings.ToUpper(string(text))+suffix)
		return errors.Join(err, out.Close(), r.Reply(len(text), in))
	}})
	in, out, err := os.Pipe()
	g.Expect(err).NotTo(HaveOccurred())
	_, _ = io.WriteString(out, "hello")
	_ = out.Close()
	var n int
	files, err := c.Do(t.Context(), "upper", "!", &n, in)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(n).To(Equal(5))
	g.Expect(files).To(HaveLen(1))
	g.Expect(io.ReadAll(files[0])).To(BeEquivalentTo("HELLO!"))
}

func TestAnErrorKeepsItsErrno(t *testing.T) {
	g := NewWithT(t)
	c := served(t, map[string]wire.Handler{"open": func(*wire.Request) error {
		_, err := os.Open("/no/such/file")
		return err
	}})
	_, err := c.Do(t.Context(), "open", nil, nil)
	g.Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue(), "%v", err)
	g.Expect(errors.Is(err, syscall.ENOENT)).To(BeTrue())
	_, err = c.Do(t.Context(), "other", nil, nil)
	g.Expect(err).To(MatchError(ContainSubstring(`unknown request "other"`)))
}

func TestRequestsDoNotWaitForOneAnother(t *testing.T) {
	g := NewWithT(t)
	release := make(chan struct{})
	c := served(t, map[string]wire.Handler{
		"slow": func(r *wire.Request) error { <-release; return r.Reply("slow") },
		"fast": func(r *wire.Request) error { return r.Reply("fast") },
	})
	slow, err := c.Start("slow", nil)
	g.Expect(err).NotTo(HaveOccurred())
	var got string
	_, err = c.Do(t.Context(), "fast", nil, &got)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal("fast"))
	close(release)
	_, err = slow.Next(t.Context(), &got)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal("slow"))
}

func TestACallerThatGivesUpIsSeen(t *testing.T) {
	g := NewWithT(t)
	gone := make(chan struct{})
	c := served(t, map[string]wire.Handler{"wait": func(r *wire.Request) error { r.Gone(); close(gone); return nil }})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Do(ctx, "wait", nil, nil)
	g.Expect(err).To(MatchError(context.DeadlineExceeded))
	g.Eventually(gone).Should(BeClosed())
}

func TestAMessageThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	g := NewWithT(t)
	c := served(t, nil)
	_, err := c.Do(t.Context(), "x", strings.Repeat("x", 1<<20), nil)
	g.Expect(err).To(MatchError(ContainSubstring("larger than")))
}
