package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// notices is the socket at which a Type=notify service says that it is ready
// (sd_notify(3)).
type notices struct {
	conn  *net.UnixConn
	path  string
	ready chan struct{} // closed at READY=1
	// status and main are safe to read once ready is closed.
	status string
	main   int // MAINPID=, 0 when it was not said
}

func listenNotices(dir, name string) (*notices, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of notify sockets: %w", err)
	}
	file := filepath.Join(dir, name)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove an old notify socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: file, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("open a notify socket: %w", err)
	}
	// A service that runs as another user must be able to write to it.
	if err := os.Chmod(file, 0o777); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open a notify socket to its service: %w", err)
	}
	n := &notices{conn: conn, path: file, ready: make(chan struct{})}
	go n.read()
	return n, nil
}

// read goes on for the service's life: a reload says READY=1 again, and a
// service whose notices nobody reads would block.
func (n *notices) read() {
	buffer := make([]byte, 4096)
	var told bool
	for {
		size, err := n.conn.Read(buffer)
		if err != nil {
			return
		}
		if told {
			continue
		}
		for line := range strings.Lines(string(buffer[:size])) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "STATUS":
				n.status = value
			case "MAINPID":
				n.main, _ = strconv.Atoi(value)
			case "READY":
				told = value == "1"
			}
		}
		if told {
			close(n.ready)
		}
	}
}

func (n *notices) close() {
	_ = n.conn.Close()
	_ = os.Remove(n.path)
}
