package sweep

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Booted is when the machine came up, from proc(5)'s stat.
func Booted(stat string) (time.Time, error) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Unix(seconds, 0), err
		}
	}
	return time.Time{}, fmt.Errorf("%s has no line btime", stat)
}
