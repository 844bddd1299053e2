package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pbsdrill/pbsdrill/harness/evidence"
)

var update = flag.Bool("update", false, "write what the tests see into testdata")

// written is the sample's reports, with the working directory set so that
// paths are what a person sees.
func written(t *testing.T) (Report, string) {
	t.Helper()
	dir := sample(t)
	t.Chdir(filepath.Dir(filepath.Dir(dir)))
	r, err := Write(dir)
	must(t, err)
	return r, dir
}

func golden(t *testing.T, name, home, got string) {
	t.Helper()
	path := filepath.Join(home, "testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", name, got)
	}
}

func home(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	must(t, err)
	return dir
}

func TestTheSummaryReadsLikeTheSample(t *testing.T) {
	home := home(t)
	r, _ := written(t)
	var out bytes.Buffer
	must(t, Summary(&out, r, false))
	golden(t, "summary.txt", home, out.String())
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours where none were asked for")
	}
	out.Reset()
	must(t, Summary(&out, r, true))
	if !strings.Contains(out.String(), "\x1b[31;1m✘ reach: only ssh") {
		t.Error("no red line is red")
	}
}

func TestARedLine(t *testing.T) {
	f := specs()[0].Findings[0]
	f.Evidence = "firewall/0042"
	want := "✘ reach: only ssh, wireguard and ping reach vps from outside\n" +
		"    flow      stranger → vps [2001:db8:20::1]:8007 pbs\n" +
		"    expected  dropped          seen  open, PBS 4.2, TLS 8a:12:bd:1b…\n" +
		"    because   no IPv6 filter exists: vps:/etc/iptables/rules.v6 is empty\n" +
		"    change    give rules.v6 the same rules as rules.v4 (`:INPUT DROP`, …)\n" +
		"    evidence  runs/2026-11-22T01-30-12-homelab-vps/firewall/0042/      enter the lab: pbsdrill lab shell vps\n"
	if got := RedLine(f, "runs/2026-11-22T01-30-12-homelab-vps/", false); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestJUnit(t *testing.T) {
	home := home(t)
	_, dir := written(t)
	text, err := os.ReadFile(filepath.Join(dir, JUnit))
	must(t, err)
	golden(t, JUnit, home, string(text))
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("junit.xml is no XML: %v", err)
		}
	}
	for state, sign := range map[string]string{
		"could not test": `<error message="xt_recent is not in this kernel" type="could not test">`,
		"interrupted":    `type="interrupted"`,
		"skipped":        `<skipped message="the driver cannot reboot a node">`,
		"totals":         `tests="10" failures="2" errors="4" skipped="2"`,
	} {
		if !strings.Contains(string(text), sign) {
			t.Errorf("%s: no %s", state, sign)
		}
	}
}

func TestReportJSONIsVersionedAndReadsBack(t *testing.T) {
	r, dir := written(t)
	text, err := os.ReadFile(filepath.Join(dir, JSON))
	must(t, err)
	var back Report
	must(t, json.Unmarshal(text, &back))
	if back.Version != evidence.Version || back.Run.ID != r.Run.ID || len(back.Specs) != len(r.Specs) || back.Outcome.Code != evidence.CodeInterrupted {
		t.Errorf("read back: %+v", back.Outcome)
	}
}

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	_, dir := written(t)
	text, err := os.ReadFile(filepath.Join(dir, HTML))
	must(t, err)
	page := string(text)
	for _, bad := range []string{"http://", "https://", "//cdn", "@import", "url(", "ZgotmplZ", "<no value>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, at := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		target := at[1]
		if id, ok := strings.CutPrefix(target, "#"); ok {
			if !strings.Contains(page, `id="`+id+`"`) {
				t.Errorf("%s leads nowhere", target)
			}
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, target)); err != nil {
			t.Errorf("link %s: %v", target, err)
		}
	}
	for _, want := range []string{
		"a running &lt;session&gt; &amp; its", "as published", "2027-06-30", "xt_recent is not in this kernel", "the driver cannot reboot a node",
		"pbsdrill drill fixtures/sites/homelab-vps --seed=4711", "userspace", "round-trip: 97ms", "no sub-uid range", "rules.v4:12", "expired on",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestAReportCanBeMadeWhileTheRunGoesOn(t *testing.T) {
	s, err := evidence.Create(t.TempDir(), "x", time.Now())
	must(t, err)
	_, err = Write(s.Dir())
	must(t, err)
	f, err := s.Begin(evidence.Spec{Suite: "firewall", Name: "it goes on"})
	must(t, err)
	r, err := Write(s.Dir())
	must(t, err)
	page, err := os.ReadFile(filepath.Join(s.Dir(), HTML))
	must(t, err)
	if !strings.Contains(string(page), "Under way") || !strings.Contains(string(page), "it goes on") {
		t.Error("the page does not say that the run goes on")
	}
	if r.Outcome.Code == evidence.CodeHeld {
		t.Error("a run without an end has held")
	}
	must(t, f.End(evidence.Spec{Name: "it has ended", State: evidence.Held}))
	must(t, s.Update(func(r *evidence.Run) { r.Planned, r.Ended = 1, time.Now() }))
	r, err = Write(s.Dir())
	must(t, err)
	if r.Outcome.Code != evidence.CodeHeld {
		t.Errorf("outcome %+v", r.Outcome)
	}
}

func TestFlowsOfOneCauseAreToldOnce(t *testing.T) {
	f := specs()[0].Findings[0]
	var all []evidence.Finding
	for _, service := range []string{"ssh", "pbs", "http", "https", "nfs", "pve", "dns", "zabbix", "ping"} {
		f.Flow, f.Address = "stranger -> vps over internet "+service+" ipv6", ""
		all = append(all, f)
	}
	r := Report{Specs: []evidence.Spec{{Suite: "firewall", State: evidence.Failed, Findings: all}}}
	got := groups(r, false)
	if len(got) != 1 || len(got[0].Findings) != 9 {
		t.Fatalf("%d groups", len(got))
	}
	if line := got[0].redLine(false, "runs/x"); !strings.Contains(line, "\n              … and 3 more\n") {
		t.Errorf("red line:\n%s", line)
	}
}

func TestAFingerprintIsCutShortForReaders(t *testing.T) {
	f := evidence.Finding{Seen: "open", Detail: "PBS 4.2, TLS " + strings.Repeat("8a:12:bd:1b:", 7) + "00:11:22:33"}
	if got := seen(f); got != "open, PBS 4.2, TLS 8a:12:bd:1b…" {
		t.Errorf("seen: %s", got)
	}
	f.Detail = "from 52:54:00:12:34:56 at 2001:db8:20::1"
	if got := seen(f); got != "open, "+f.Detail {
		t.Errorf("seen: %s", got)
	}
}

func TestTheMatrixPutsServicesWithoutANameLast(t *testing.T) {
	m := newMatrix([]evidence.Spec{{Rows: []evidence.Row{
		{From: "a", To: "b", Service: "udp/41752", Saw: "dropped", Met: true},
		{From: "a", To: "b", Service: "zabbix", Saw: "dropped", Met: true},
		{From: "a", To: "c", Service: "pbs", Saw: "open"},
	}}})
	if got := strings.Join(m.Services, " "); got != "pbs zabbix udp/41752" {
		t.Errorf("services: %s", got)
	}
	if n := len(m.Cell("a", "c").Lines[0].Squares); n != 1 {
		t.Errorf("%d squares, want none after the last", n)
	}
	if m.Cell("a", "c").Broken != 1 || len(m.Notable()) != 1 || len(m.Quiet()) != 1 {
		t.Errorf("pairs: %+v", m.Pairs)
	}
}
