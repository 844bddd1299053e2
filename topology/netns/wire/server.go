package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Request is one request as a handler sees it. A handler owns Files.
type Request struct {
	Op      string
	Files   []*os.File
	body    json.RawMessage
	replies *Conn
}

// Decode reads the request's body.
func (r *Request) Decode(into any) error {
	if err := json.Unmarshal(r.body, into); err != nil {
		return fmt.Errorf("decode %s: %w", r.Op, err)
	}
	return nil
}

// Reply sends an answer; more may follow.
func (r *Request) Reply(body any, files ...*os.File) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the reply to %s: %w", r.Op, err)
	}
	return r.replies.Send(Reply{Body: raw}, files...)
}

// Gone blocks until the caller has closed its end.
func (r *Request) Gone() {
	var ignored Reply
	for {
		if _, err := r.replies.Receive(&ignored); err != nil {
			return
		}
	}
}

func (r *Request) fail(err error) {
	reply := Reply{Error: err.Error()}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		reply.Errno = int(errno)
	}
	_ = r.replies.Send(reply)
}

// Handler answers one request. An error that it returns is sent to the caller.
type Handler func(*Request) error

// Serve answers requests, each in a goroutine of its own, until the other end
// closes the socket; that is no error.
func Serve(c *Conn, handlers map[string]Handler) error {
	for {
		var raw request
		files, err := c.Receive(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		replies, err := FromFile(files[0])
		if err != nil {
			closeAll(files[1:])
			continue
		}
		go answer(handlers, &Request{Op: raw.Op, Files: files[1:], body: raw.Body, replies: replies})
	}
}

func answer(handlers map[string]Handler, r *Request) {
	defer func() {
		closeAll(r.Files)
		_ = r.replies.Close()
	}()
	h, ok := handlers[r.Op]
	if !ok {
		r.fail(fmt.Errorf("unknown request %q", r.Op))
		return
	}
	if err := h(r); err != nil {
		r.fail(err)
	}
}
