package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/harness/holder"
)

// playMain makes this test binary pbsdrill, for what needs a process or a
// terminal of its own.
const playMain = "PBSDRILL_PLAY_MAIN"

func TestLabs(t *testing.T) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "ginkgo.seed" })
	if !given {
		t.Skip("labs are brought up through ginkgo: make e2e")
	}
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(10 * time.Second)
	RunSpecs(t, "pbsdrill lab")
}

const house = "testdata/house"

// typed runs a command line in this process.
func typed(ctx context.Context, args ...string) result {
	return (&app{}).try(ctx, args...)
}

// started runs a command line in a process of its own.
func started(ctx context.Context, args ...string) *exec.Cmd {
	GinkgoHelper()
	self, err := os.Executable()
	Expect(err).NotTo(HaveOccurred())
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), playMain+"=1", "TERM=xterm")
	return c
}

var _ = Describe("a lab for one command", func() {
	It("passes streams and the exit code through", func(ctx SpecContext) {
		c := started(ctx, "lab", "run", house, "vps", "--", "sh", "-c", "read line; echo out $line on $(hostname); echo err >&2; exit 7")
		var out, errs bytes.Buffer
		c.Stdin, c.Stdout, c.Stderr = strings.NewReader("hello\n"), &out, &errs
		Expect(c.Run()).To(MatchError("exit status 7"))
		Expect(out.String()).To(Equal("out hello on vps\n"))
		Expect(errs.String()).To(Equal("err\n"))
	}, NodeTimeout(time.Minute))

	It("says that there is no such program, and does not call it a result", func(ctx SpecContext) {
		r := typed(ctx, "lab", "run", house, "vps", "--", "no-such-program")
		Expect(r.code).To(Equal(CouldNotTest))
		Expect(r.err).To(ContainSubstring("no-such-program"))
	}, NodeTimeout(time.Minute))

	It("goes down on Ctrl-C and ends with 130", func(ctx SpecContext) {
		c := started(ctx, "lab", "run", house, "vps", "--", "sh", "-c", "echo ready; sleep 1000")
		out, err := c.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Start()).To(Succeed())
		_, err = out.Read(make([]byte, 6))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Process.Signal(os.Interrupt)).To(Succeed())
		Expect(c.Wait()).To(MatchError("exit status 130"))
	}, NodeTimeout(time.Minute))
})

var _ = Describe("a lab that stays", Ordered, func() {
	var id string
	var labs holder.Folder

	BeforeAll(func(ctx SpecContext) {
		dir, err := os.MkdirTemp("", "pbsdrill-e2e-") // a spec's own folder is too long for a socket's name
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, dir)
		DeferCleanup(os.Setenv, "XDG_RUNTIME_DIR", os.Getenv("XDG_RUNTIME_DIR"))
		Expect(os.Setenv("XDG_RUNTIME_DIR", dir)).To(Succeed())
		labs = holder.Default()
		Expect(labs.Dir).To(Equal(filepath.Join(dir, "pbsdrill")))

		c := started(ctx, "lab", "up", "--json", house)
		DeferCleanup(func(ctx SpecContext) { typed(ctx, "lab", "down", "--all") }, NodeTimeout(time.Minute))
		out, err := c.Output()
		Expect(err).NotTo(HaveOccurred())
		var up struct{ ID string }
		Expect(json.Unmarshal(out, &up)).To(Succeed())
		id = up.ID
	}, NodeTimeout(time.Minute))

	It("is listed with its nodes and their memory", func(ctx SpecContext) {
		r := typed(ctx, "lab", "ps", "--json")
		Expect(r.code).To(Equal(Held))
		var all []standing
		Expect(json.Unmarshal([]byte(r.out), &all)).To(Succeed())
		Expect(all).To(HaveLen(1))
		Expect(all[0].ID).To(Equal(id))
		Expect(all[0].Alive).To(BeTrue())
		Expect(all[0].Memory).To(HaveKeyWithValue("vps", BeNumerically(">", 1<<20)))
	}, NodeTimeout(time.Minute))

	It("runs a command on a node, without a terminal", func(ctx SpecContext) {
		c := started(ctx, "lab", "shell", "vps", "--", "sh", "-c", "hostname; cat; exit 3")
		c.Stdin = strings.NewReader("from outside\n")
		out, err := c.Output()
		Expect(err).To(MatchError("exit status 3"))
		Expect(string(out)).To(Equal("vps\nfrom outside\n"))
	}, NodeTimeout(time.Minute))

	It("gives a shell on a terminal, with its size and job control", func(ctx SpecContext) {
		ours, theirs := pty()
		Expect(unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99})).To(Succeed())
		c := started(ctx, "lab", "shell", "vps")
		c.Stdin, c.Stdout, c.Stderr = theirs, theirs, theirs
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		Expect(c.Start()).To(Succeed())
		Expect(theirs.Close()).To(Succeed())
		shown := screen(ours)
		say := func(line string) { _, err := ours.WriteString(line); Expect(err).NotTo(HaveOccurred()) }
		// It speaks before it sleeps: a ^C that comes before it runs ends nothing.
		say("stty size; tty; sh -c 'echo asleep-$((6*7)); exec sleep 1000'; echo awake-$((6*7))\n")
		Eventually(shown).Should(ContainSubstring("33 99"))
		Eventually(shown).Should(ContainSubstring("/dev/pts/"))
		Eventually(shown).Should(ContainSubstring("asleep-42"))
		say("\x03") // ends sleep and the list, not the shell
		say("echo alive-$((6*7)); exit 5\n")
		Eventually(shown).Should(ContainSubstring("alive-42"))
		Expect(shown()).NotTo(ContainSubstring("awake-42"))
		Expect(c.Wait()).To(MatchError("exit status 5"))
	}, NodeTimeout(time.Minute))

	It("is gone when its holder is killed, and sweep takes the rest", func(ctx SpecContext) {
		all, err := labs.List()
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(1))
		Expect(syscall.Kill(all[0].PID, syscall.SIGKILL)).To(Succeed())
		Eventually(all[0].Alive).Should(BeFalse())
		Eventually(func() []string { return marked(all[0].Mark) }).Should(BeEmpty())
		r := typed(ctx, "lab", "shell", "vps", "--", "true")
		Expect(r.code).To(Equal(CouldNotTest))
		Expect(r.err).To(ContainSubstring("the lab's holder has gone"))
		Expect(typed(ctx, "sweep").out).To(ContainSubstring(id))
		Expect(typed(ctx, "sweep", "--yes").out).To(ContainSubstring("removed"))
		left, err := labs.List()
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(BeEmpty())
	}, NodeTimeout(time.Minute))

	It("goes down when it is told to, with everything", func(ctx SpecContext) {
		Expect(started(ctx, "lab", "up", house).Run()).To(Succeed())
		all, err := labs.List()
		Expect(err).NotTo(HaveOccurred())
		r := typed(ctx, "lab", "down")
		Expect(r.code).To(Equal(Held), r.err)
		Expect(labs.Dir).NotTo(BeADirectory())
		Expect(marked(all[0].Mark)).To(BeEmpty())
	}, NodeTimeout(time.Minute))
})

var _ = Describe("two drills of one clone at once", func() {
	It("do not take each other's suites away", func(ctx SpecContext) {
		var ended [2]error
		var said [2][]byte
		var both sync.WaitGroup
		for i := range ended {
			c := started(ctx, "drill", house, "firewall", "--dry-run", "--json")
			both.Go(func() { said[i], ended[i] = c.Output() })
		}
		both.Wait()
		for i := range ended {
			Expect(ended[i]).NotTo(HaveOccurred())
			var specs []listedSpec
			Expect(json.Unmarshal(said[i], &specs)).To(Succeed())
			Expect(specs).NotTo(BeEmpty())
		}
		Expect(filepath.Glob("../../../suites/*/pbsdrill-*.test")).To(BeEmpty())
	}, NodeTimeout(3*time.Minute))
})

var _ = Describe("killed labs", func() {
	It("leave nothing", func(ctx SpecContext) {
		c := started(ctx, "soak", "--times=3", "--json", house)
		out, err := c.Output()
		Expect(err).NotTo(HaveOccurred())
		var s soaked
		Expect(json.Unmarshal(out, &s)).To(Succeed())
		Expect(s.Rounds).To(Equal(3))
		Expect(s.Left).To(BeEmpty())
	}, NodeTimeout(time.Minute))
})

// marked are the processes that have the mark among their arguments.
func marked(mark string) []string {
	GinkgoHelper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), mark) {
			all = append(all, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return all
}

// pty is a terminal: our end, and the end of whoever sits at it.
func pty() (ours, theirs *os.File) {
	GinkgoHelper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(ours.Close)
	Expect(unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)).To(Succeed())
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	Expect(err).NotTo(HaveOccurred())
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	Expect(err).NotTo(HaveOccurred())
	return ours, theirs
}

// screen is everything that a terminal has shown so far.
func screen(terminal *os.File) func() string {
	all := &tail{max: 1 << 20}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf)
			_, _ = all.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return all.String
}
