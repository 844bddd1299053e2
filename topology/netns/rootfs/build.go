package rootfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Suggest is what a machine lacks for building a root: each is one sentence
// with the command that helps. Empty means that a build can be tried.
func Suggest() []string {
	var out []string
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		out = append(out, "mmdebstrap is missing: apt install mmdebstrap")
	}
	if _, err := os.Stat("/usr/share/keyrings/debian-archive-keyring.gpg"); err != nil {
		out = append(out, "Debian's archive keys are missing: apt install debian-archive-keyring")
	}
	if os.Geteuid() == 0 {
		return out
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		out = append(out, "newuidmap is missing: apt install uidmap")
	}
	for _, name := range []string{"/etc/subuid", "/etc/subgid"} {
		if !hasRange(name) {
			first := free()
			ids := fmt.Sprintf("%d-%d", first, first+65535)
			out = append(out, fmt.Sprintf("you have no range of 65536 ids in %s: sudo usermod --add-subuids %s --add-subgids %s %s", name, ids, ids, userName()))
			break
		}
	}
	return out
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}

// idRange is a line of a file of sub-ids: NAME-OR-UID:FIRST:COUNT.
type idRange struct {
	who          string
	first, count int
}

func idRanges(file string) []idRange {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []idRange
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 {
			continue
		}
		first, err := strconv.Atoi(fields[1])
		count, wrong := strconv.Atoi(fields[2])
		if err == nil && wrong == nil {
			out = append(out, idRange{fields[0], first, count})
		}
	}
	return out
}

// hasRange tells whether the caller has as many ids in a file as a node needs.
func hasRange(file string) bool {
	name, uid := userName(), strconv.Itoa(os.Getuid())
	for _, r := range idRanges(file) {
		if (r.who == name || r.who == uid) && r.count >= 65536 {
			return true
		}
	}
	return false
}

// free is the first id that nobody's range reaches.
func free() int {
	first := 100000 // where useradd begins (login.defs(5), SUB_UID_MIN)
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		for _, r := range idRanges(file) {
			first = max(first, r.first+r.count)
		}
	}
	return first
}

// build writes a fresh Debian to a tarball: about 20 s and 180 MB. It leaves
// nothing outside the folder work.
func build(ctx context.Context, w *os.File, work string, o Options, say func(string)) error {
	if missing := Suggest(); len(missing) > 0 {
		return fmt.Errorf("a Debian 13 root file system cannot be built here:\n  %s", strings.Join(missing, "\n  "))
	}
	mode := "unshare"
	if os.Geteuid() == 0 {
		mode = "root"
	}
	args := []string{"--mode=" + mode, "--variant=minbase", "--format=tar", "--include=" + strings.Join(packages, ","), suite, "-"}
	if o.Mirror != "" {
		args = append(args, o.Mirror)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+work)
	// A group of its own: when its disk is full, mmdebstrap ends the whole group
	// that it is in, and that would be whoever called us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Asked to end, it takes down its mounts; killed, it would leave them.
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdout = w
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("start mmdebstrap: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start mmdebstrap: %w", err)
	}
	last := follow(stderr, say)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build the root file system: %w", ctx.Err())
		}
		return fmt.Errorf("mmdebstrap failed: %w\n%s%s", err, indent(last), wayOut(last))
	}
	return nil
}

// follow reports mmdebstrap's own steps and keeps the end of what it printed.
func follow(r io.Reader, say func(string)) (last []string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if step, ok := strings.CutPrefix(line, "I: "); ok {
			say(step)
			continue
		}
		last = append(last, line)
		if len(last) > 12 {
			last = last[1:]
		}
	}
	return last
}

func indent(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// wayOut turns what mmdebstrap is known to say into what helps.
func wayOut(lines []string) string {
	text := strings.Join(lines, "\n")
	switch {
	case strings.Contains(text, "No space left on device"):
		return "the disk is full: it needs 700 MB in TMPDIR and in the cache"
	case strings.Contains(text, "Temporary failure resolving"), strings.Contains(text, "Could not resolve"), strings.Contains(text, "Could not connect"):
		return "the first build needs the network, or `rootfs:` in site.yaml a tarball that was built elsewhere"
	case strings.Contains(text, "NO_PUBKEY"), strings.Contains(text, "not signed"):
		return "Debian's archive keys are too old: apt install --only-upgrade debian-archive-keyring"
	case strings.Contains(text, "unshare"), strings.Contains(text, "user namespace"):
		return "this kernel does not let you make user namespaces: see `pbsdrill doctor`"
	}
	return "try `mmdebstrap --mode=" + map[bool]string{true: "root", false: "unshare"}[os.Geteuid() == 0] + " --variant=minbase trixie /dev/null` by hand"
}

// explain adds the way out to an error that the disk caused.
func explain(err error, cache string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || strings.Contains(err.Error(), unix.ENOSPC.Error()) {
		return fmt.Errorf("%w\nthe disk of %s is full: a root file system takes 700 MB there (another place: XDG_CACHE_HOME, as an ordinary user)", err, cache)
	}
	return err
}
