package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The names in a run's folder.
const (
	headFile   = "run.json"
	recordsDir = "records"
	lockFile   = ".lock"
	nextFile   = ".next"
)

// Store is a run's folder. Several processes of several suites may write to
// one at the same time.
type Store struct {
	dir      string
	redactor Redactor
	mu       sync.Mutex
	records  map[string]*os.File // suite → this process's own file
}

// Create makes runs/<time>-<site>/ with a head in it, in UTC. A taken name
// gets a number.
func Create(runs, site string, now time.Time) (*Store, error) {
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return nil, fmt.Errorf("make the runs' folder: %w", err)
	}
	id := now.UTC().Format("2006-01-02T15-04-05") + "-" + plain(site)
	for n := 2; ; n++ {
		dir := filepath.Join(runs, id)
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			id = fmt.Sprintf("%s-%s-%d", now.UTC().Format("2006-01-02T15-04-05"), plain(site), n)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("make the run's folder: %w", err)
		}
		s, err := Open(dir)
		if err != nil {
			return nil, err
		}
		return s, s.Update(func(r *Run) {
			r.ID, r.Site, r.Started = id, site, now.UTC()
		})
	}
}

// plain is a name that is safe in a path.
func plain(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			return c
		}
		return '-'
	}, name)
}

// Open joins a run that is under way.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, recordsDir), 0o755); err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	return &Store{dir: dir, records: map[string]*os.File{}}, nil
}

// Dir is the run's folder, absolute.
func (s *Store) Dir() string { return s.dir }

// Redactor is told of the lab's secrets before they are used.
func (s *Store) Redactor() *Redactor { return &s.redactor }

// Close closes the files. The run's head is the caller's to finish.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.records {
		errs = append(errs, f.Close())
	}
	clear(s.records)
	return errors.Join(errs...)
}

// Update changes the run's head, alone among all processes, and writes it at
// once and whole.
func (s *Store) Update(change func(*Run)) error {
	return s.locked(func() error {
		run, err := readHead(s.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		run.Version = Version
		change(&run)
		text, err := s.json(run, "  ")
		if err != nil {
			return fmt.Errorf("write the run's head: %w", err)
		}
		return WriteFile(filepath.Join(s.dir, headFile), text)
	})
}

// locked runs f while no other process does. The kernel releases the lock of
// a process that dies.
func (s *Store) locked(f func() error) error {
	lock, err := os.OpenFile(filepath.Join(s.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("lock the run: %w", err)
	}
	defer lock.Close()
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock the run: %w", err)
	}
	return f()
}

// number claims the next number of a suite.
func (s *Store) number(suite string) (n int, err error) {
	err = s.locked(func() error {
		path := filepath.Join(s.dir, suite, nextFile)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(text) > 0 {
			if n, err = strconv.Atoi(string(text)); err != nil {
				return err
			}
		}
		n++
		return WriteFile(path, []byte(strconv.Itoa(n)))
	})
	if err != nil {
		return 0, fmt.Errorf("number a spec of %s: %w", suite, err)
	}
	return n, nil
}

// append adds a record to this process's own file, in one write.
func (s *Store) append(spec Spec) error {
	text, err := s.json(spec, "")
	if err != nil {
		return fmt.Errorf("record %s: %w", spec.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.records[spec.Suite]
	if f == nil {
		name := fmt.Sprintf("%s-%d.jsonl", spec.Suite, os.Getpid())
		f, err = os.OpenFile(filepath.Join(s.dir, recordsDir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("record %s: %w", spec.Name, err)
		}
		s.records[spec.Suite] = f
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("record %s: %w", spec.Name, err)
	}
	return nil
}

// json is a value with every string redacted, which keeps it valid.
func (s *Store) json(value any, indent string) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(redactJSON(out.Bytes(), s.redactor.String)), nil
}

// WriteFile puts a file in place whole or not at all.
func WriteFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails once it is in place
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
