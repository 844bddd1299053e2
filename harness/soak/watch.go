package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kinds are the namespaces that a lab makes.
var kinds = []string{"user", "mnt", "pid", "net", "uts", "ipc"}

// lookEvery is how often a lab is looked at while it lives. A namespace that
// comes and goes between two looks has a process whose end is seen anyway.
// Looking costs the lab time: every 2 ms made it come up half as fast.
const lookEvery = 10 * time.Millisecond

// seen is what a lab was made of: namespaces by their link text, "net:[402…]",
// and processes by id and start.
type seen struct {
	namespaces map[string]bool
	processes  map[string]bool
	killed     uint64 // when the lab's owner was killed, in clock ticks since boot
}

// watch looks at a process and all below it until told to stop.
func watch(pid int, stop <-chan struct{}) <-chan seen {
	out := make(chan seen, 1)
	own := namespacesOf(os.Getpid())
	go func() {
		s := seen{namespaces: map[string]bool{}, processes: map[string]bool{}}
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			s.look(pid, own)
			select {
			case <-stop:
				out <- s
				return
			case <-tick.C:
			}
		}
	}()
	return out
}

func (s seen) look(pid int, own map[string]bool) {
	if key, ok := identity(pid); ok {
		s.processes[key] = true
	}
	for ns := range namespacesOf(pid) {
		if !own[ns] {
			s.namespaces[ns] = true
		}
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				s.look(child, own)
			}
		}
	}
}

func namespacesOf(pid int) map[string]bool {
	all := map[string]bool{}
	for _, kind := range kinds {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
			all[ns] = true
		}
	}
	return all
}

// identity is a process's id and its start: an id alone is given to another
// process one day.
func identity(pid int) (string, bool) {
	start, ok := startOf(pid)
	return fmt.Sprintf("%d@%d", pid, start), ok
}

// startOf is field 22 of proc(5)'s stat: clock ticks since boot.
func startOf(pid int) (uint64, bool) {
	fields := statOf(pid)
	if len(fields) < 20 {
		return 0, false
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	return start, err == nil
}

// statOf is what stands behind the name in proc(5)'s stat, from the state on;
// nil when the process has ended.
func statOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
}

// ticks is now as proc(5) counts: USER_HZ is 100 on every Linux that Go runs on.
func ticks() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0 // nothing started before it, so everything counts as left
	}
	return uint64(now.Nano()) / 1e7
}

// alive is which of it is still there: processes, and whatever holds one of
// its namespaces, be it a process of another name or an open descriptor.
func (s seen) alive() []string {
	var left []string
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return []string{err.Error()}
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if key, ok := identity(pid); ok && s.processes[key] {
			left = append(left, "process "+name(pid))
			continue
		}
		// The kernel gives a namespace's number to the next one that is made:
		// who began after the kill has one of its own.
		if start, ok := startOf(pid); !ok || s.killed > 0 && start > s.killed || s.foreign(pid) {
			continue
		}
		for ns := range namespacesOf(pid) {
			if s.namespaces[ns] {
				left = append(left, fmt.Sprintf("namespace %s of process %s", ns, name(pid)))
			}
		}
		left = append(left, s.held(dir, pid)...)
	}
	return left
}

// foreign says whether the process belongs to another lab, whose owner is
// there: one that came up meanwhile may have got a number that ours gave back
// while it lived. A lab of ours that was left is an orphan, and so our child.
func (s seen) foreign(pid int) bool {
	for pid > 1 {
		parent := parentOf(pid)
		if key, ok := identity(pid); ok && strings.HasPrefix(name(pid), fmt.Sprintf("%d pbsdrill-lab ", pid)) {
			return !s.processes[key] && parent > 1 && parent != os.Getpid()
		}
		pid = parent
	}
	return false
}

func parentOf(pid int) int {
	fields := statOf(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

func (s seen) held(dir string, pid int) []string {
	var left []string
	fds, err := filepath.Glob(dir + "/fd/*")
	if err != nil {
		return nil
	}
	for _, fd := range fds {
		if ns, err := os.Readlink(fd); err == nil && s.namespaces[ns] {
			left = append(left, fmt.Sprintf("namespace %s held by process %s", ns, name(pid)))
		}
	}
	return left
}

func name(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return strconv.Itoa(pid)
	}
	return fmt.Sprintf("%d %s", pid, strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " ")))
}
