package topology_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
)

const minimal = "testdata/sites/minimal"

func load(t *testing.T, dir string) *topology.Site {
	t.Helper()
	site, err := topology.Load(dir)
	if err != nil {
		t.Fatalf("%s does not load:\n%v", dir, err)
	}
	return site
}

func TestAGoodSiteSaysWhatItsFilesSay(t *testing.T) {
	g := NewWithT(t)
	site := load(t, minimal)

	g.Expect(site.Name).To(Equal("minimal"))
	g.Expect(site.Driver).To(Equal("netns"))
	g.Expect(filepath.IsAbs(site.Dir)).To(BeTrue())

	lan, ok := site.Network("lan")
	g.Expect(ok).To(BeTrue())
	g.Expect(lan.IPv6).To(Equal(netip.MustParsePrefix("fd00:100::/64")))
	g.Expect(lan.Outer()).To(BeFalse())
	internet, _ := site.Network("internet")
	g.Expect(internet.Outer()).To(BeTrue())
	g.Expect(internet.RoundTrip).To(Equal(97 * time.Millisecond))

	router, ok := site.Router("lan")
	g.Expect(ok).To(BeTrue())
	g.Expect(router.Name).To(Equal("router"))
	g.Expect(router.NAT.UDPTimeout).To(Equal(30 * time.Second))
	g.Expect(router.On[1].Interface).To(Equal("eth1"))

	vps, ok := site.Machine("vps")
	g.Expect(ok).To(BeTrue())
	g.Expect(vps.Addresses("internet")).To(HaveExactElements(
		netip.MustParseAddr("198.51.100.20"), netip.MustParseAddr("2001:db8:20::1")))
	g.Expect(vps.At.String()).To(Equal("site.yaml:15:3"))

	gotify, ok := site.Service("gotify")
	g.Expect(ok).To(BeTrue())
	g.Expect(gotify).To(Equal(topology.Service{Name: "gotify", Protocol: "tcp", Port: 8080}))

	_, ok = site.Machine("nobody")
	g.Expect(ok).To(BeFalse())
}

func TestATunnelComesFromTheWireGuardFiles(t *testing.T) {
	g := NewWithT(t)
	site := load(t, minimal)

	last := site.Networks[len(site.Networks)-1]
	g.Expect(last.Name).To(Equal("wg0"))
	g.Expect(last.Tunnel).To(BeTrue())
	g.Expect(last.IPv4).To(Equal(netip.MustParsePrefix("10.200.0.0/24")))
	g.Expect(last.IPv6.IsValid()).To(BeFalse())

	home, _ := site.Machine("home")
	g.Expect(home.Addresses("wg0")).To(HaveExactElements(netip.MustParseAddr("10.200.0.2")))
	g.Expect(home.On[1].Interface).To(Equal("wg0"))
	conf, ok := home.WireGuard("wg0")
	g.Expect(ok).To(BeTrue())
	g.Expect(conf.Peers).To(HaveLen(1))
}

func TestFilesHaveTheModesThatGitCannotKeep(t *testing.T) {
	g := NewWithT(t)
	site := load(t, minimal)
	vps, _ := site.Machine("vps")

	var seen []string
	for _, f := range vps.Files {
		seen = append(seen, strings.Join([]string{f.Mode.String(), f.Owner + ":" + f.Group, f.Path}, " "))
	}
	g.Expect(seen).To(HaveExactElements(
		"-rw-r----- root:adm /etc/motd",
		"Lrwxrwxrwx root:root /etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service",
		"drwx------ root:root /etc/wireguard",
		"-rw------- root:root /etc/wireguard/wg0.conf",
	))
	motd, ok := vps.File("/etc/motd")
	g.Expect(ok).To(BeTrue())
	g.Expect(motd.Source).To(Equal(filepath.Join(site.Dir, "nodes/vps/etc/motd")))
	g.Expect(motd.At.String()).To(Equal("nodes/vps/etc/motd"))
}

func TestReachLinesExpandToNodes(t *testing.T) {
	site := load(t, minimal)
	var lines []string
	for _, r := range site.Promises.Reach {
		lines = append(lines, strings.Join(r.From, " ")+" -> "+strings.Join(r.To, " ")+" over "+r.Over)
	}
	NewWithT(t).Expect(lines).To(HaveExactElements(
		"vps -> home over wg0",
		"router vps stranger -> vps over internet",
		"vps -> router vps stranger over internet",
		"home nas router stranger -> nas over ",
		"home nas router stranger -> router vps stranger over internet",
	))
	anything := site.Promises.Reach[2]
	if len(anything.Services) != len(site.Services) {
		t.Errorf("any is %v, and known are %v", anything.Services, site.Services)
	}
	if want := "vps -> internet: any"; anything.Text != want {
		t.Errorf("got %q, want it as written: %q", anything.Text, want)
	}
}

func TestTheOtherPromisesAreParsed(t *testing.T) {
	g := NewWithT(t)
	p := load(t, minimal).Promises
	g.Expect(p.Silent).To(HaveExactElements("vps"))
	g.Expect(p.Limits).To(HaveLen(1))
	g.Expect(p.Limits[0]).To(HaveField("Passes", 4))
	g.Expect(p.Limits[0]).To(HaveField("Within", time.Minute))
	g.Expect(p.Limits[0]).To(HaveField("Text", "ssh at vps: 4 per 60s"))
	g.Expect(p.Logins[0]).To(HaveField("User", "root"))
	g.Expect(p.Leaves[0]).To(HaveField("Over", "wg0"))
	g.Expect(p.Persist).To(HaveLen(2))
	g.Expect(p.Undecided).To(HaveLen(1))
	g.Expect(p.Undecided[0].Name).To(Equal("offsite"))
}

func TestAWaiverNamesItsFindingsExactly(t *testing.T) {
	g := NewWithT(t)
	waivers := load(t, minimal).Waivers
	g.Expect(waivers).To(HaveLen(1))
	g.Expect(waivers[0].Flows).To(HaveExactElements(
		"stranger -> vps over internet pbs ipv4", "home -> vps over internet pbs ipv6 link-local"))
	g.Expect(waivers[0].Until).To(Equal(time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)))
}

func TestThePlaceholdersAreListedWithTheirPlaces(t *testing.T) {
	var seen []string
	for _, p := range load(t, minimal).Placeholders() {
		seen = append(seen, p.At.String()+" "+p.Name)
	}
	NewWithT(t).Expect(seen).To(HaveExactElements(
		"nodes/home/etc/wireguard/wg0.conf:3:14 wg.home.private",
		"nodes/home/etc/wireguard/wg0.conf:6:13 wg.vps.public",
		"nodes/home/etc/wireguard/wg0.conf:7:16 psk.vps.home",
		"nodes/vps/etc/wireguard/wg0.conf:4:14 wg.vps.private",
		"nodes/vps/etc/wireguard/wg0.conf:7:13 wg.home.public",
		"nodes/vps/etc/wireguard/wg0.conf:8:16 psk.home.vps",
	))
}

func TestTheHashIsOfContentAndModes(t *testing.T) {
	dir := copyOfMinimal(t)
	before := load(t, dir).Hash()
	if again := load(t, minimal).Hash(); again != before {
		t.Errorf("a copy elsewhere has another hash: %s, %s", before, again)
	}
	for name, change := range map[string][2]string{
		"site.yaml":           {"0640 root:adm", "0600 root:adm"},
		"nodes/vps/etc/motd":  {"Only", "only"},
		"nodes/home/etc/motd": {"", "a new file"},
	} {
		dir := copyOfMinimal(t)
		replace(t, dir, name, change[0], change[1])
		if load(t, dir).Hash() == before {
			t.Errorf("a change of %s does not show", name)
		}
	}
}

func TestLoadingChangesNothing(t *testing.T) {
	dir := copyOfMinimal(t)
	list := func() (all []string) {
		_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, path+info.Mode().String()+info.ModTime().String())
			return nil
		})
		return all
	}
	before := list()
	load(t, dir)
	if after := list(); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	_, err := topology.Load(filepath.Join(t.TempDir(), "nowhere"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAHugeSiteFileIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	huge := strings.Repeat("# a line of a comment\n", 10<<20/22)
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(huge), 0o600); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, err := topology.Load(dir)
	if took := time.Since(started); took > time.Second {
		t.Errorf("it took %v to refuse it", took)
	}
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("site.yaml: has 10485750 bytes; more than 1048576")))
}

func TestAliasesCannotBlowUp(t *testing.T) {
	var b strings.Builder
	b.WriteString("site: bomb\nnetworks: {lan: {ipv4: 10.0.0.0/8}}\nnodes:\n  a: &a {role: client, on: {lan: &x [")
	b.WriteString(strings.Repeat("1,", 1000) + "1]}}\n")
	for i := range 5000 {
		b.WriteString("  n" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": *a\n")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, err := topology.Load(dir)
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("the document has more than 100000 values")))
}

func copyOfMinimal(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(minimal)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replace edits a file of a site; with an empty old text it writes a new one.
func replace(t testing.TB, dir, name, old, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if old == "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), old, text, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
