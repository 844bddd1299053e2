package netns

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// memory answers with the proportional memory of every node, in bytes: the sum
// over the processes of its PID namespace (Pss of /proc/PID/smaps_rollup,
// proc(5)), so that pages which nodes share are counted once.
func (s *supervisor) memory(r *wire.Request) error {
	s.mu.Lock()
	names := map[string]string{} // PID namespace → node
	for name, pid := range s.pids {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err == nil {
			names[ns] = name
		}
	}
	s.mu.Unlock()
	total := map[string]int64{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return fmt.Errorf("list the lab's processes: %w", err)
	}
	for _, dir := range dirs {
		ns, err := os.Readlink(dir + "/ns/pid")
		if err != nil {
			continue // it has just ended
		}
		if name, ok := names[ns]; ok {
			total[name] += pss(dir + "/smaps_rollup")
		}
	}
	return r.Reply(total)
}

func pss(path string) int64 {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
