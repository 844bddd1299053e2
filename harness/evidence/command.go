package evidence

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// streamLimit bounds each stream of a command as it is kept, in bytes.
const streamLimit = 64 << 10

// Command is one line of commands.jsonl.
type Command struct {
	Node      string        `json:"node"`
	Argv      []string      `json:"argv"`
	Env       []string      `json:"env,omitempty"`
	Dir       string        `json:"dir,omitempty"`
	Asked     string        `json:"asked,omitempty"` // file:line of the spec
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took"`
	Exit      int           `json:"exit"`
	Signal    string        `json:"signal,omitempty"`
	Error     string        `json:"error,omitempty"` // it did not run
	Stdout    string        `json:"stdout,omitempty"`
	Stderr    string        `json:"stderr,omitempty"`
	Truncated bool          `json:"truncated,omitempty"`
}

// Command keeps what a node ran.
func (f *Folder) Command(node string, c topology.Command, r topology.Result, err error) {
	record := Command{
		Node: node, Argv: f.store.redactor.Argv(c.Argv), Env: c.Env, Dir: c.Dir, Asked: asker(),
		Started: r.Started, Took: r.Duration, Exit: r.Exit, Signal: r.Signal,
	}
	if err != nil {
		record.Error = err.Error()
	}
	var short, shorter bool
	record.Stdout, short = bounded(&f.store.redactor, r.Stdout, r.Truncated)
	record.Stderr, shorter = bounded(&f.store.redactor, r.Stderr, r.Truncated)
	record.Truncated = r.Truncated || short || shorter

	text, jsonErr := f.store.json(record, "")
	if jsonErr == nil {
		jsonErr = f.extend("commands.jsonl", lineList, text)
	}
	if jsonErr != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err == nil {
			f.err = jsonErr
		}
	}
}

// bounded redacts a stream and only then shortens it: half a secret would not
// be known any more.
func bounded(clean *Redactor, stream []byte, cut bool) (text string, truncated bool) {
	if cut {
		stream = clean.Cut(stream)
	} else {
		stream = clean.Bytes(stream)
	}
	if len(stream) <= streamLimit {
		return string(stream), false
	}
	return strings.ToValidUTF8(string(stream[:streamLimit]), "") + "\n[… truncated]", true
}

// asker is the place in a suite, a drill or a test from which a command was
// run: the nearest caller that is neither the harness nor a driver.
func asker() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if asks(frame.File) {
			return place(frame)
		}
		if !more {
			return ""
		}
	}
}

func asks(file string) bool {
	return strings.Contains(file, "/suites/") || strings.Contains(file, "/drills/") || strings.HasSuffix(file, "_test.go")
}

// place is the caller's file, below the module's root where that is known by
// its name, and line.
func place(frame runtime.Frame) string {
	file := frame.File
	for _, top := range []string{"/suites/", "/drills/", "/harness/", "/topology/"} {
		if i := strings.LastIndex(file, top); i >= 0 {
			file = file[i+1:]
			break
		}
	}
	return file + ":" + strconv.Itoa(frame.Line)
}
