package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxMessage bounds one message. The kernel's default send buffer holds 208
// KiB (net.core.wmem_default), and a larger packet is refused with EMSGSIZE:
// anything large travels as a descriptor.
const maxMessage = 128 << 10

// maxFiles bounds the descriptors of one message.
const maxFiles = 8

// Conn is one end of a socket of sequenced packets.
type Conn struct{ c *net.UnixConn }

// Pair makes two connected ends; the second is a file to hand to another
// process.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "wire")
	ours, err := FromFile(os.NewFile(uintptr(fds[0]), "wire"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// FromFile takes over a descriptor that is an end of such a socket.
func FromFile(f *os.File) (*Conn, error) {
	defer func() { _ = f.Close() }() // FileConn duplicates it
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use a descriptor as a socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("use a descriptor as a socket: it is no unix socket")
	}
	return &Conn{u}, nil
}

// Close closes this end.
func (c *Conn) Close() error { return c.c.Close() }

// Send sends one message. The files stay the caller's.
func (c *Conn) Send(message any, files ...*os.File) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("a message of %d bytes is larger than %d", len(body), maxMessage)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = rawFD(f)
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.c.WriteMsgUnix(body, rights, nil)
	for _, f := range files {
		runtime.KeepAlive(f)
	}
	return err
}

// Receive takes one message. io.EOF means that the other end has gone. The
// files are the caller's to close.
func (c *Conn) Receive(message any) ([]*os.File, error) {
	body := make([]byte, maxMessage)
	rights := make([]byte, unix.CmsgSpace(maxFiles*4))
	n, rn, flags, _, err := c.c.ReadMsgUnix(body, rights)
	if err != nil {
		return nil, err
	}
	files, err := filesOf(rights[:rn])
	if err != nil {
		return nil, err
	}
	if n == 0 && rn == 0 {
		return nil, io.EOF
	}
	if flags&unix.MSG_TRUNC != 0 || flags&unix.MSG_CTRUNC != 0 {
		closeAll(files)
		return nil, errors.New("a message was cut short")
	}
	if err := json.Unmarshal(body[:n], message); err != nil {
		closeAll(files)
		return nil, fmt.Errorf("decode a message: %w", err)
	}
	return files, nil
}

// rawFD reads the descriptor without switching the file to blocking mode, as
// os.File.Fd would.
func rawFD(f *os.File) int {
	fd := -1
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(p uintptr) { fd = int(p) })
	}
	return fd
}

func filesOf(rights []byte) ([]*os.File, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("take descriptors: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // credentials, say: none of ours
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// request is what goes over the control socket.
type request struct {
	Op   string          `json:"op"`
	Body json.RawMessage `json:"body"`
}

// Reply is the frame of every answer.
type Reply struct {
	Body  json.RawMessage `json:"body,omitempty"`
	Error string          `json:"error,omitempty"`
	Errno int             `json:"errno,omitempty"`
}

// Error is a failure that a server told. It unwraps to the errno where there
// was one.
type Error struct {
	Text  string
	Errno syscall.Errno
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives the errno, so that errors.Is(err, fs.ErrNotExist) works.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// Call is a request under way.
type Call struct{ replies *Conn }

// Start sends a request and leaves the replies to the caller.
func (c *Conn) Start(op string, body any, files ...*os.File) (*Call, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", op, err)
	}
	ours, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	if err := c.Send(request{Op: op, Body: raw}, append([]*os.File{theirs}, files...)...); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("ask for %s: %w", op, err)
	}
	return &Call{ours}, nil
}

// Next waits for one reply. It ends early when the context does.
func (c *Call) Next(ctx context.Context, into any) ([]*os.File, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.replies.Close() })
	defer stop()
	var r Reply
	files, err := c.replies.Receive(&r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if r.Error != "" {
		closeAll(files)
		return nil, &Error{Text: r.Error, Errno: syscall.Errno(r.Errno)}
	}
	if into == nil || len(r.Body) == 0 {
		return files, nil
	}
	if err := json.Unmarshal(r.Body, into); err != nil {
		closeAll(files)
		return nil, fmt.Errorf("decode a reply: %w", err)
	}
	return files, nil
}

// Close ends the call; the server sees it as end of file.
func (c *Call) Close() error { return c.replies.Close() }

// Do sends a request and waits for its one reply.
func (c *Conn) Do(ctx context.Context, op string, body, into any, files ...*os.File) ([]*os.File, error) {
	call, err := c.Start(op, body, files...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = call.Close() }()
	got, err := call.Next(ctx, into)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: the lab has gone: %w", op, io.ErrUnexpectedEOF)
	}
	return got, err
}

// File duplicates this end as a file to hand to another process.
func (c *Conn) File() (*os.File, error) {
	f, err := c.c.File()
	if err != nil {
		return nil, fmt.Errorf("duplicate a socket: %w", err)
	}
	return f, nil
}
