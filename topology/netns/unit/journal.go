package unit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

// journalLimit is what is kept of a unit's output; the beginning goes first.
const journalLimit = 256 << 10

// journal keeps what a unit prints. Its programs write into one pipe.
type journal struct {
	w    *os.File
	mu   sync.Mutex
	kept []byte
	lost int // bytes that made room
	sent int // markers written
	seen map[string]chan struct{}
}

func newJournal() (*journal, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a journal: %w", err)
	}
	j := &journal{w: w, seen: map[string]chan struct{}{}}
	go j.read(r)
	return j, nil
}

func (j *journal) read(r *os.File) {
	defer r.Close()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadSlice('\n')
		j.take(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (j *journal) take(line []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	// A marker may follow a line that was never ended.
	if i := bytes.Index(line, []byte(marker)); i >= 0 {
		key := strings.TrimSpace(string(line[i:]))
		line = line[:i]
		if done, ok := j.seen[key]; ok {
			close(done)
			delete(j.seen, key)
		}
	}
	j.kept = append(j.kept, line...)
	if over := len(j.kept) - journalLimit; over > 0 {
		j.kept = append(j.kept[:0], j.kept[over:]...)
		j.lost += over
	}
}

// marker begins a line that the runner itself sends through the pipe. Bytes
// come out in the order in which they went in, so once it is seen, all that a
// program printed before it ended has been kept.
const marker = "\x00pbsdrill journal "

// sync waits until everything that was printed so far is kept.
func (j *journal) sync(ctx context.Context) {
	j.mu.Lock()
	j.sent++
	key := fmt.Sprintf("%s%d", marker, j.sent)
	done := make(chan struct{})
	j.seen[strings.TrimSpace(key)] = done
	j.mu.Unlock()
	if _, err := io.WriteString(j.w, key+"\n"); err != nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// size is how much was printed so far.
func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost + len(j.kept)
}

// since is what was printed after size returned from.
func (j *journal) since(from int) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.kept[min(max(from-j.lost, 0), len(j.kept)):])
}

func (j *journal) bytes() []byte {
	text := j.since(0)
	if j.lost == 0 {
		return text
	}
	return append(fmt.Appendf(nil, "[%d bytes before this were dropped]\n", j.lost), text...)
}

// telling picks what of a program's output says what went wrong, on one line.
// A key that a tool quotes does not get out: results stand in reports.
func telling(output []byte) string {
	lines := strings.Split(string(output), "\n")
	text := plainly(lines)
	if said := steps(lines); said != "" {
		text = said
	}
	return quoted.ReplaceAllString(keys.ReplaceAllString(text, "•••"), "$1 •••")
}

var (
	keys   = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`) // WireGuard's, in Base64
	quoted = regexp.MustCompile("(Key is not the correct length or format:) `[^']*'")
)

// plainly is the first line that speaks of an error, else the last one.
func plainly(lines []string) string {
	var last string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if strings.Contains(strings.ToLower(line), "error") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}

// steps reads the output of wg-quick, which echoes each command after "[#]":
// what counts is what the last one printed, its clean-up left aside.
func steps(lines []string) string {
	var said []string
	var cleaning, fresh bool
	for _, line := range lines {
		line = strings.TrimSpace(line)
		switch command, isStep := strings.CutPrefix(line, "[#] "); {
		case isStep:
			cleaning, fresh = strings.HasPrefix(command, "ip link delete"), true
		case strings.HasPrefix(line, "[!]"):
			said = nil // it goes on in user space, so what was said before was no failure
		case line == "" || cleaning:
		case fresh:
			said, fresh = []string{line}, false
		case len(said) > 0:
			said = append(said, line)
		}
	}
	return strings.Join(said, "; ")
}
