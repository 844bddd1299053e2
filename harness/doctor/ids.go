package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a run of ids that a user may hand to a user namespace.
type Range struct {
	First, Count uint32
}

// enough is what a node needs: Debian's ids end with 65534, nogroup.
const enough = 65535

// subordinate is the largest range that the text of /etc/subuid or /etc/subgid
// gives to the user. Lines that cannot be read count as absent, as they do for
// newuidmap.
func subordinate(text, user string, uid int) Range {
	var best Range
	for _, line := range strings.Split(text, "\n") {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) != 3 || (field[0] != user && field[0] != strconv.Itoa(uid)) {
			continue
		}
		first, err1 := strconv.ParseUint(field[1], 10, 32)
		count, err2 := strconv.ParseUint(field[2], 10, 32)
		if err1 == nil && err2 == nil && uint32(count) > best.Count {
			best = Range{First: uint32(first), Count: uint32(count)}
		}
	}
	return best
}

func (r Range) String() string {
	if r.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("%d ids from %d", r.Count, r.First)
}

// behind is the first id behind every range that the texts give to anybody: a
// range that two users share would let each into the other's files.
func behind(texts ...string) uint32 {
	free := uint32(100000) // where useradd begins
	for _, text := range texts {
		for _, line := range strings.Split(text, "\n") {
			field := strings.Split(strings.TrimSpace(line), ":")
			if len(field) != 3 {
				continue
			}
			first, err1 := strconv.ParseUint(field[1], 10, 32)
			count, err2 := strconv.ParseUint(field[2], 10, 32)
			if end := first + count; err1 == nil && err2 == nil && end > uint64(free) && end < 1<<32-2*enough {
				free = uint32(end)
			}
		}
	}
	return free
}
