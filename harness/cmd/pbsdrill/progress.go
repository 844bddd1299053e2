package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress is shown for what takes longer than patience: redrawn where there is
// a terminal, else as plain lines, rarely enough that a log stays readable.
const (
	patience    = 2 * time.Second
	redrawEvery = 250 * time.Millisecond
	plainEvery  = 10 * time.Second
)

// progress is one line about what is under way.
type progress struct {
	out    io.Writer
	redraw bool
	limit  time.Duration // zero: none
	start  time.Time

	mu    sync.Mutex
	what  string
	drawn bool
	stop  chan struct{}
	ended sync.WaitGroup
}

// progress begins a line such as "12/70 specs, 8 s, limit 120 s". The caller
// ends it.
func (s streams) progress(what string, limit time.Duration) *progress {
	p := &progress{out: s.err, redraw: s.redraw, limit: limit, start: time.Now(), what: what, stop: make(chan struct{})}
	p.ended.Go(p.run)
	return p
}

// say changes what is under way.
func (p *progress) say(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
}

// above prints a line that stays, above the progress.
func (p *progress) above(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, line)
}

// end takes the line away. It may be called twice.
func (p *progress) end() {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	p.ended.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) run() {
	every := plainEvery
	if p.redraw {
		every = redrawEvery
	}
	first := time.NewTimer(patience)
	defer first.Stop()
	select {
	case <-p.stop:
		return
	case <-first.C:
		p.draw()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.draw()
		}
	}
}

func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%s, %.0f s", p.what, time.Since(p.start).Seconds())
	if p.limit > 0 {
		line += fmt.Sprintf(", limit %.0f s", p.limit.Seconds())
	}
	if !p.redraw {
		fmt.Fprintln(p.out, line)
		return
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	p.drawn = true
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}
