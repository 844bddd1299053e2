package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func progressed(t *testing.T, s streams, how func(*progress)) string {
	t.Helper()
	var shown bytes.Buffer
	s.err = &shown
	synctest.Test(t, func(*testing.T) {
		p := s.progress("building", 120*time.Second)
		how(p)
		p.end()
		p.end()
	})
	return shown.String()
}

func TestWhatIsQuickShowsNoProgress(t *testing.T) {
	for _, redraw := range []bool{false, true} {
		if shown := progressed(t, streams{redraw: redraw}, func(*progress) { time.Sleep(patience - 1) }); shown != "" {
			t.Errorf("%q", shown)
		}
	}
}

func TestWithoutATerminalProgressIsPlainLinesNowAndThen(t *testing.T) {
	shown := progressed(t, streams{}, func(p *progress) {
		time.Sleep(3 * time.Second)
		p.say("12/70 specs")
		p.above("✘ one")
		time.Sleep(10 * time.Second)
	})
	if want := "building, 2 s, limit 120 s\n✘ one\n12/70 specs, 12 s, limit 120 s\n"; shown != want {
		t.Errorf("%q", shown)
	}
}

func TestOnATerminalProgressIsOneLineThatGoesAway(t *testing.T) {
	shown := progressed(t, streams{redraw: true}, func(p *progress) {
		time.Sleep(2*time.Second + 300*time.Millisecond)
		p.above("✘ one")
	})
	line := "\r\x1b[Kbuilding, 2 s, limit 120 s"
	if want := line + line + "\r\x1b[K✘ one\n"; shown != want {
		t.Errorf("%q", shown)
	}
}

func TestColourIsLeftOutWhereItIsNotWanted(t *testing.T) {
	if (streams{}).paint(red, "x") != "x" || (streams{color: true}).paint(red, "x") != "\x1b[31mx\x1b[0m" {
		t.Error("paint")
	}
	t.Setenv("NO_COLOR", "")
	if standard().color {
		t.Error("NO_COLOR is not honoured")
	}
}
