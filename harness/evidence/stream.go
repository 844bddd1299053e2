package evidence

import (
	"fmt"
	"io"
)

// A stream is looked at in windows. What begins within the first part of a
// window is known to its end; hold bytes are kept back for that. PEM keys of
// 16,384 bits have less than 16 KiB.
const (
	window = 256 << 10
	hold   = 64 << 10
)

// Writer takes the secrets out of a text on its way to w, also those that two
// writes share. Close writes what was held back; it does not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser {
	return &stream{redactor: r, to: w, mask: mask}
}

// Binary is Writer for formats that count their bytes, such as pcapng: the
// secrets become as many asterisks.
func (r *Redactor) Binary(w io.Writer) io.WriteCloser {
	return &stream{redactor: r, to: w, mask: maskInPlace}
}

type stream struct {
	redactor *Redactor
	to       io.Writer
	mask     func([]byte, []span) []byte
	held     []byte
	lost     bool // a secret had no end; nothing more is written
}

func (s *stream) Write(p []byte) (int, error) {
	if s.lost {
		return len(p), nil
	}
	s.held = append(s.held, p...)
	if len(s.held) < window {
		return len(p), nil
	}
	if err := s.advance(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// advance writes all but the last hold bytes.
func (s *stream) advance() error {
	spans := s.redactor.spans(s.held)
	cut := len(s.held) - hold
	for _, at := range spans {
		switch {
		case at.matchFrom >= cut:
		case at.to == len(s.held):
			s.lost = true
			return s.write(s.mask(s.held[:at.to], before(spans, at.to)))
		case at.matchTo > cut || at.to > cut:
			cut = max(at.matchTo, at.to)
		}
	}
	out := s.mask(s.held[:cut], before(spans, cut))
	s.held = append([]byte(nil), s.held[cut:]...)
	return s.write(out)
}

func before(spans []span, cut int) []span {
	n := 0
	for n < len(spans) && spans[n].to <= cut {
		n++
	}
	return spans[:n]
}

func (s *stream) write(p []byte) error {
	if _, err := s.to.Write(p); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

func (s *stream) Close() error {
	if s.lost {
		return s.write([]byte("\n[the rest is left out: it followed a secret without an end]\n"))
	}
	out := s.mask(s.held, s.redactor.spans(s.held))
	s.held = nil
	return s.write(out)
}
