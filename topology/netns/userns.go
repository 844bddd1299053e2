package netns

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// shiftedBase is where root's labs live: uid 0 of a node is this uid here. It
// lies above what systemd-nspawn and the usual sub-uid ranges take.
const shiftedBase = 0x5bd10000

// rangeSize is the number of ids of a node: Debian's own go up to 65534.
const rangeSize = 65536

// IDs is how ids inside a lab stand for ids of this machine.
type IDs struct {
	UIDs, GIDs []syscall.SysProcIDMap
	// Single is why there is only one id, so that no daemon of a node can
	// change to a user of its own; nil where there is a range.
	Single error
}

// idsOf says which ids a lab of this user gets: a range where there is one,
// and else the user's own id, as the nodes' root.
func idsOf(uid int) IDs {
	if uid == 0 {
		m := []syscall.SysProcIDMap{{ContainerID: 0, HostID: shiftedBase, Size: rangeSize}}
		return IDs{UIDs: m, GIDs: m}
	}
	ids := IDs{
		UIDs: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GIDs: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	uids, err := subordinate("/etc/subuid", uid)
	if err != nil {
		ids.Single = err
		return ids
	}
	gids, err := subordinate("/etc/subgid", uid)
	if err != nil {
		ids.Single = err
		return ids
	}
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(tool); err != nil {
			ids.Single = fmt.Errorf("%s is missing; ask root for: apt install uidmap", tool)
			return ids
		}
	}
	ids.UIDs, ids.GIDs = append(ids.UIDs, uids), append(ids.GIDs, gids)
	return ids
}

// subordinate finds the user's range in subuid(5) or subgid(5).
func subordinate(path string, uid int) (syscall.SysProcIDMap, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return syscall.SysProcIDMap{}, fmt.Errorf("read the sub-id ranges: %w", err)
	}
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || (fields[0] != name && fields[0] != strconv.Itoa(uid)) {
			continue
		}
		start, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.Atoi(fields[2])
		if err1 != nil || err2 != nil || count < rangeSize-1 {
			continue
		}
		return syscall.SysProcIDMap{ContainerID: 1, HostID: start, Size: rangeSize - 1}, nil
	}
	spare := spareRange()
	return syscall.SysProcIDMap{}, fmt.Errorf("%s gives %s no range of %d ids; ask root for: usermod --add-subuids %s --add-subgids %s %s",
		path, name, rangeSize, spare, spare, name)
}

// spareRange lies behind all ranges that are given already: one that two users
// share lets each into the other's files.
func spareRange() string {
	first := 100000 // where useradd begins
	for _, path := range []string{"/etc/subuid", "/etc/subgid"} {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			var start, count int
			_, ids, _ := strings.Cut(strings.TrimSpace(line), ":")
			if n, _ := fmt.Sscanf(ids, "%d:%d", &start, &count); n == 2 && start+count < shiftedBase {
				first = max(first, start+count)
			}
		}
	}
	return fmt.Sprintf("%d-%d", first, first+rangeSize-1)
}

// writeMaps runs newuidmap and newgidmap on a process that waits for them.
func writeMaps(pid int, ids IDs) error {
	for _, m := range []struct {
		tool string
		ids  []syscall.SysProcIDMap
	}{{"newuidmap", ids.UIDs}, {"newgidmap", ids.GIDs}} {
		args := []string{strconv.Itoa(pid)}
		for _, r := range m.ids {
			args = append(args, strconv.Itoa(r.ContainerID), strconv.Itoa(r.HostID), strconv.Itoa(r.Size))
		}
		out, err := exec.Command(m.tool, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", m.tool, strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// stage waits until its ids are mapped and becomes the program that it was
// asked for. It is a process of its own because the ids of an unmapped
// process are nobody's, and an exec as nobody drops every capability.
//
//	argv: pbsdrill-stage NAME ARGUMENTS…; descriptor 3 is the pipe to wait on
func stage() int {
	wait := os.NewFile(3, "mapped")
	if n, err := wait.Read(make([]byte, 1)); n != 1 || err != nil {
		return 1 // the caller has gone
	}
	_ = wait.Close()
	if len(os.Args) < 2 {
		return 2
	}
	err := syscall.Exec("/proc/self/exe", os.Args[1:], os.Environ())
	fmt.Fprintln(os.Stderr, stageName+":", err)
	return 1
}

// enter starts this binary under the name in argv[0], as uid 0 of a new user
// namespace and in new namespaces of the other kinds in flags. The caller's
// files become descriptors 4 and up (3 is used up on the way).
func enter(argv []string, flags uintptr, stdio [3]*os.File, files ...*os.File) (*os.Process, error) {
	ids := idsOf(os.Geteuid())
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	attr := &os.ProcAttr{
		Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"},
		Files: append([]*os.File{stdio[0], stdio[1], stdio[2], r}, files...),
		Sys:   &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | flags, Setsid: true},
	}
	var p *os.Process
	switch {
	case os.Geteuid() == 0:
		attr.Sys.UidMappings, attr.Sys.GidMappings, attr.Sys.GidMappingsEnableSetgroups = ids.UIDs, ids.GIDs, true
		attr.Sys.Credential = &syscall.Credential{}
		p, err = startWithTun(argv, attr)
	case ids.Single != nil:
		// The kernel lets everybody map their own id, if groups are given up
		// for good (user_namespaces(7)).
		attr.Sys.UidMappings, attr.Sys.GidMappings = ids.UIDs, ids.GIDs
		p, err = os.StartProcess("/proc/self/exe", argv, attr)
	default:
		p, err = os.StartProcess("/proc/self/exe", append([]string{stageName}, argv...), attr)
	}
	if err != nil {
		return nil, explainUserns(err)
	}
	if os.Geteuid() != 0 && ids.Single == nil {
		if err := writeMaps(p.Pid, ids); err != nil {
			_ = p.Kill()
			_, _ = p.Wait()
			return nil, err
		}
		_, _ = w.Write([]byte{1})
	}
	return p, nil
}

// explainUserns names the setting that forbids user namespaces here.
func explainUserns(err error) error {
	settings := []struct{ path, bad, way string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"},
	}
	for _, s := range settings {
		if v, rerr := os.ReadFile(s.path); rerr == nil && strings.TrimSpace(string(v)) == s.bad {
			return fmt.Errorf("the kernel forbids user namespaces: %s is %s; ask root for: %s: %w", s.path, s.bad, s.way, err)
		}
	}
	return fmt.Errorf("enter a user namespace: %w", err)
}
