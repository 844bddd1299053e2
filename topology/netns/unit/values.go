package unit

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", s)
}

// forever is a time span without end.
const forever = time.Duration(math.MaxInt64)

var spanUnits = map[string]time.Duration{
	"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// span reads a time span such as "90", "1min 30s" or "infinity"
// (systemd.time(7)). Zero means no limit, as TimeoutStartSec= takes it.
func span(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "infinity" {
		return forever, nil
	}
	var sum float64
	rest := strings.ReplaceAll(s, " ", "")
	if rest == "" {
		return 0, fmt.Errorf("a time span is missing")
	}
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n < 0 {
			n = len(rest)
		}
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no time span, such as 1min 30s", s)
		}
		rest = rest[n:]
		n = strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if n < 0 {
			n = len(rest)
		}
		unit, ok := spanUnits[rest[:n]]
		if !ok {
			return 0, fmt.Errorf("%q is no time span, such as 1min 30s", s)
		}
		rest = rest[n:]
		sum += number * float64(unit)
	}
	if sum == 0 || sum >= float64(forever) {
		return forever, nil
	}
	return time.Duration(sum), nil
}

func mode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is no mode, such as 0755", s)
	}
	return fs.FileMode(n).Perm(), nil
}
