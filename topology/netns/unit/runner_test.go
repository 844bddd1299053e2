package unit

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// TestMain lets the test binary be a service that says READY=1.
func TestMain(m *testing.M) {
	if os.Getenv("UNIT_TEST_NOTIFY") != "" {
		notifier()
	}
	os.Exit(m.Run())
}

func TestAServiceRunsItsCommandsInOrder(t *testing.T) {
	g := NewWithT(t)
	s := &scribe{}
	r := boots(t, house(t, enabled(map[string]string{"x.service": `[Service]
Type=oneshot
RemainAfterExit=yes
Environment="WORDS=one  two" GREETING=hi
Environment=EMPTY=
ExecStartPre=-/bin/fails
ExecStartPre=/bin/pre
ExecStart=@/bin/a called $WORDS "${GREETING} there" $$HOME $EMPTY ; /bin/b
ExecStart=:/bin/c $WORDS
ExecStartPost=+/bin/post %n
ExecStop=/bin/stop
`})), Options{Starter: s, Env: []string{"LAB=yes"}})
	g.Expect(state(r, "x.service")).To(Equal("active"))
	g.Expect(s.argvs()).To(Equal([]string{
		"[/bin/fails]", "[/bin/pre]", "[called one two hi there $HOME]", "[/bin/b]", "[/bin/c $WORDS]", "[/bin/post x.service]",
	}))
	g.Expect(s.execs[2].Path).To(Equal("/bin/a"))
	g.Expect(s.execs[0].Env).To(ContainElements("LAB=yes", "GREETING=hi", "PATH="+searchPath))
	g.Expect(r.Stop(context.Background(), "x")).To(Succeed())
	g.Expect(state(r, "x.service")).To(Equal("inactive: stopped"))
	g.Expect(s.argvs()).To(HaveLen(7))
}

func TestAFailedCommandFailsItsUnitWithLineAndReason(t *testing.T) {
	g := NewWithT(t)
	r := boots(t, house(t, enabled(map[string]string{
		"x.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo first; echo /etc/nftables.conf:4:1-3: Error: syntax error; echo ^^^; exit 7'\n",
		"y.service": "[Unit]\nRequires=x.service\nAfter=x.service\n" + oneshot,
		"z.service": "[Unit]\nWants=x.service\nAfter=x.service\n" + oneshot,
		"w.service": "[Service]\nType=oneshot\nExecStart=/no/such/program\n",
	})), Options{})
	states := r.States()
	g.Expect(states).To(HaveLen(4))
	g.Expect(state(r, "x.service")).To(HavePrefix("failed: ExecStart=/bin/sh -c"))
	g.Expect(state(r, "x.service")).To(HaveSuffix("exit status 7: /etc/nftables.conf:4:1-3: Error: syntax error"))
	g.Expect(states[1].Position).To(Equal("/usr/lib/systemd/system/x.service:3"))
	g.Expect(state(r, "y.service")).To(Equal("failed: dependency: x.service failed"))
	g.Expect(state(r, "z.service")).To(Equal("inactive: success"))
	g.Expect(state(r, "w.service")).To(ContainSubstring("no such file"))
	text, err := r.Journal(context.Background(), "x.service")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(Equal("first\n/etc/nftables.conf:4:1-3: Error: syntax error\n^^^\n"))
}

func TestConditionsSkipAUnit(t *testing.T) {
	for line, want := range map[string]string{
		"ConditionPathExists=!/etc/off":                           "inactive: condition failed: ConditionPathExists=!/etc/off",
		"ConditionPathExists=/etc/off":                            "active",
		"ConditionPathExists=|/none\nConditionPathExists=|/etc":   "active",
		"ConditionPathExists=|/none\nConditionPathExists=|/none2": "inactive: condition failed",
		"ConditionFirstBoot=yes":                                  "inactive: condition failed",
		"ConditionFirstBoot=no":                                   "active",
		"ConditionHost=v*":                                        "active",
		"ConditionDirectoryNotEmpty=/etc/empty":                   "inactive",
		"ConditionFileNotEmpty=/etc/off":                          "active",
		"ConditionPathIsDirectory=/etc":                           "active",
		"ConditionPathIsSymbolicLink=!/etc":                       "active",
		"ConditionPathIsReadWrite=/etc":                           "active",
		"ConditionPathIsMountPoint=/etc":                          "inactive",
		"ConditionVirtualization=!container":                      "active",
		"AssertPathExists=/none":                                  "failed: AssertPathExists=/none does not hold",
	} {
		t.Run(line, func(t *testing.T) {
			g := NewWithT(t)
			files := enabled(map[string]string{"x.service": "[Unit]\n" + line + "\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"})
			files["/etc/off"] = "off"
			g.Expect(state(boots(t, house(t, files), Options{Starter: &scribe{}}), "x.service")).To(HavePrefix(want))
		})
	}
}

func TestAServiceThatIsNeverReadyFailsInTime(t *testing.T) {
	g := NewWithT(t)
	r := boots(t, house(t, enabled(map[string]string{
		"x.service": "[Service]\nType=notify\nExecStart=/bin/sh -c 'echo waiting; exec sleep 1000'\nTimeoutStartSec=300ms\n",
	})), Options{})
	g.Expect(state(r, "x.service")).To(ContainSubstring("timeout after 300ms: it never said READY=1"))
	text, err := r.Journal(context.Background(), "x")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(Equal("waiting\n"))
}

func TestAServiceThatEndsBeforeItIsReadyFails(t *testing.T) {
	g := NewWithT(t)
	r := boots(t, house(t, enabled(map[string]string{
		"x.service": "[Service]\nType=notify\nExecStart=/bin/sh -c 'echo cannot bind; exit 255'\nRestart=on-failure\n",
	})), Options{})
	g.Expect(state(r, "x.service")).To(ContainSubstring("exit status 255: cannot bind; it ended before it was ready"))
}

func TestNotifyWaitsForReady(t *testing.T) {
	g := NewWithT(t)
	self, err := os.Executable()
	g.Expect(err).NotTo(HaveOccurred())
	root := house(t, enabled(map[string]string{
		"x.service": "[Service]\nType=notify\nEnvironment=UNIT_TEST_NOTIFY=1\nRuntimeDirectory=x\nRuntimeDirectoryMode=0700\nExecStart=" + self + "\nExecReload=/bin/sh -c 'kill -HUP $MAINPID'\n",
		"y.service": "[Unit]\nAfter=x.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo after'\n",
	}))
	r := boots(t, root, Options{})
	g.Expect(state(r, "x.service")).To(Equal("active"))
	text, err := r.Journal(context.Background(), "x")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(ContainSubstring("ready now"))
	info, err := os.Stat(root + "/run/x")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o700)))
	g.Expect(r.Restart(context.Background(), "x")).To(Succeed())
	g.Expect(state(r, "x.service")).To(Equal("active"))
	g.Expect(r.Reload(context.Background(), "x")).To(Succeed()) // it has no handler, so SIGHUP ends it
	g.Eventually(func() string { return state(r, "x.service") }).Should(ContainSubstring("killed by hangup"))
	g.Expect(r.Start(context.Background(), "x")).To(Succeed())
	g.Expect(state(r, "x.service")).To(Equal("active"))
}

func TestACrashAfterTheStartIsSeen(t *testing.T) {
	g := NewWithT(t)
	r := boots(t, house(t, enabled(map[string]string{
		"x.service": "[Service]\nExecStart=/bin/sh -c 'kill -9 $$$$'\nRestart=always\n",
		"y.service": "[Service]\nExecStart=/bin/true\n",
	})), Options{})
	g.Eventually(func() string { return state(r, "x.service") }).Should(And(HavePrefix("failed"), ContainSubstring("killed by killed"), ContainSubstring("Restart=always is not acted on here")))
	g.Eventually(func() string { return state(r, "y.service") }).Should(Equal("inactive: it ended by itself"))
}

func TestForkingIsReadyWhenItsParentEnds(t *testing.T) {
	g := NewWithT(t)
	root := house(t, map[string]string{})
	pid := root + "/run/x.pid"
	files := enabled(map[string]string{
		"x.service": "[Service]\nType=forking\nPIDFile=/run/x.pid\nExecStart=/bin/sh -c 'mkdir -p " + root + "/run; sleep 1000 & echo $! > " + pid + "'\n",
	})
	for name, text := range files {
		g.Expect(os.MkdirAll(root+name[:strings.LastIndex(name, "/")], 0o755)).To(Succeed())
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			g.Expect(os.Symlink(target, root+name)).To(Succeed())
		} else {
			g.Expect(os.WriteFile(root+name, []byte(text), 0o644)).To(Succeed())
		}
	}
	r := boots(t, root, Options{})
	g.Expect(state(r, "x.service")).To(Equal("active"))
	g.Expect(r.Stop(context.Background(), "x")).To(Succeed())
	g.Expect(state(r, "x.service")).To(Equal("inactive: stopped"))
}

func TestIndependentUnitsStartSideBySide(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	// Each waits for the other's file: one after the other they would never end.
	wait := func(mine, other string) string {
		return "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'touch " + dir + "/" + mine + "; while ! test -e " + dir + "/" + other + "; do sleep 0.01; done'\n"
	}
	r := boots(t, house(t, enabled(map[string]string{"a.service": wait("a", "b"), "b.service": wait("b", "a")})), Options{Limit: 10 * time.Second})
	g.Expect(state(r, "a.service")).To(Equal("inactive: success"))
	g.Expect(state(r, "b.service")).To(Equal("inactive: success"))
}

func TestABootThatIsGivenUp(t *testing.T) {
	g := NewWithT(t)
	root := house(t, enabled(map[string]string{"a.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"}))
	set, err := Load(os.DirFS(root), "vps")
	g.Expect(err).NotTo(HaveOccurred())
	r := NewRunner(set, Options{Root: root, Starter: children{}})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	g.Expect(r.Boot(ctx)).To(MatchError(context.DeadlineExceeded))
	g.Expect(state(r, "a.service")).To(HavePrefix("failed"))
}

func TestJournalsAreBounded(t *testing.T) {
	g := NewWithT(t)
	if _, err := exec.LookPath("seq"); err != nil {
		t.Skip("seq is missing")
	}
	r := boots(t, house(t, enabled(map[string]string{"a.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/seq 200000\n"})), Options{})
	text, err := r.Journal(context.Background(), "a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(text)).To(BeNumerically("<", journalLimit+100))
	g.Expect(string(text)).To(HavePrefix("[1"))
	g.Expect(string(text)).To(HaveSuffix("200000\n"))
	g.Expect(string(text)).NotTo(ContainSubstring(marker))
}

func TestWhatWentWrongIsToldInOneLine(t *testing.T) {
	key := strings.Repeat("A", 43) + "="
	for output, want := range map[string]string{
		"/etc/nftables.conf:4:1-3: Error: syntax error\nflsh ruleset\n^^^\n": "/etc/nftables.conf:4:1-3: Error: syntax error",
		"first\nlast\n\n": "last",
		"":                "",
		"[#] ip link add wg0 type wireguard\nError: Unknown device type.\n[!] Missing WireGuard kernel module.\n[#] wireguard-go wg0\n[#] wg setconf wg0 /dev/fd/63\nLine unrecognized: `PrivateKy=" + key + "'\nConfiguration parsing error\n[#] ip link delete dev wg0\nCannot find device\n": "Line unrecognized: `PrivateKy=•••'; Configuration parsing error",
		"[#] wg setconf wg0 /dev/fd/63\nKey is not the correct length or format: `secret'\nConfiguration parsing error\n":                                                                                                                                                                       "Key is not the correct length or format: •••; Configuration parsing error",
	} {
		if got := telling([]byte(output)); got != want {
			t.Errorf("%q tells %q, not %q", output, got, want)
		}
	}
}

func TestUsersAndEnvironmentFiles(t *testing.T) {
	g := NewWithT(t)
	files := enabled(map[string]string{"x.service": "[Service]\nType=oneshot\nUser=backup\nEnvironmentFile=-/etc/default/none\nEnvironmentFile=/etc/default/x\nWorkingDirectory=~\nUMask=0027\nExecStart=/bin/a $OPTS\n",
		"y.service": "[Service]\nType=oneshot\nEnvironmentFile=/etc/default/none\nExecStart=/bin/a\n",
		"z.service": "[Service]\nType=oneshot\nUser=nobody-here\nExecStart=/bin/a\n"})
	files["/etc/passwd"] = "root:x:0:0::/root:/bin/sh\nbackup:x:34:34:b:/var/backups:/usr/sbin/nologin\n"
	files["/etc/group"] = "backup:x:34:\ntape:x:26:backup\n"
	files["/etc/default/x"] = "# comment\nOPTS=\"-a  -b\"\n  \nBROKEN\n"
	files["/var/backups/keep"] = ""
	s := &scribe{}
	r := boots(t, house(t, files), Options{Starter: s})
	g.Expect(s.execs).To(HaveLen(1))
	e := s.execs[0]
	g.Expect(e.Argv).To(Equal([]string{"sh", "-c", `umask 0027 && exec "$0" "$@"`, "/bin/a", "-a", "-b"}))
	g.Expect(e.UID).To(BeEquivalentTo(34))
	g.Expect(e.GID).To(BeEquivalentTo(34))
	g.Expect(e.Groups).To(ConsistOf(uint32(26), uint32(34)))
	g.Expect(e.Dir).To(Equal("/var/backups"))
	g.Expect(e.Env).To(ContainElements("HOME=/var/backups", "USER=backup"))
	g.Expect(state(r, "y.service")).To(HavePrefix("failed: EnvironmentFile=/etc/default/none"))
	g.Expect(state(r, "z.service")).To(HavePrefix("failed: User=nobody-here"))
}

func TestSpans(t *testing.T) {
	g := NewWithT(t)
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "1min 30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "2h": 2 * time.Hour, "infinity": forever, "0": forever, "5m": 5 * time.Minute,
	} {
		g.Expect(span(text)).To(Equal(want), text)
	}
	_, err := span("3 fortnights")
	g.Expect(err).To(HaveOccurred())
}
