package evidence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Folder is where the evidence of one spec goes: firewall/0042/. It is made
// when the first file comes. It is safe for concurrent use.
type Folder struct {
	store *Store
	spec  Spec
	mu    sync.Mutex
	lists map[string]*list // growing files
	err   error            // the first that Command had no way to return
}

var _ topology.Recorder = (*Folder)(nil)

// Begin opens the folder of a spec and records that it has begun, so that a
// run that is killed still names it.
func (s *Store) Begin(spec Spec) (*Folder, error) {
	n, err := s.number(spec.Suite)
	if err != nil {
		return nil, err
	}
	spec.Number = n
	spec.Folder = fmt.Sprintf("%s/%04d", spec.Suite, n)
	began := spec
	began.State, began.Reason = Interrupted, "it had begun and did not end"
	if began.Started.IsZero() {
		began.Started = time.Now()
	}
	return &Folder{store: s, spec: spec, lists: map[string]*list{}}, s.append(began)
}

// Name is the folder's path relative to the run's: firewall/0042.
func (f *Folder) Name() string { return f.spec.Folder }

// Path is the folder's path on this machine.
func (f *Folder) Path() string { return filepath.Join(f.store.dir, f.spec.Folder) }

// End records how the spec ended. Suite, Number and Folder are the folder's
// own. The error says what of the evidence could not be kept.
func (f *Folder) End(spec Spec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := []error{f.err}
	for _, l := range f.lists {
		errs = append(errs, l.close())
	}
	clear(f.lists)
	spec.Suite, spec.Number, spec.Folder = f.spec.Suite, f.spec.Number, f.spec.Folder
	if _, err := os.Stat(f.Path()); errors.Is(err, fs.ErrNotExist) {
		spec.Folder = ""
		spec.Findings = slices.Clone(spec.Findings)
		for i := range spec.Findings {
			spec.Findings[i].Evidence = "" // nothing was kept; nowhere to send the reader
		}
	}
	return errors.Join(append(errs, f.store.append(spec))...)
}

// Add keeps a text by name: rules, routes, wg, conntrack, a unit's journal.
func (f *Folder) Add(name string, text []byte) error {
	path, err := f.place(name)
	if err != nil {
		return err
	}
	return WriteFile(path, f.store.redactor.Bytes(text))
}

// Create opens a text that grows.
func (f *Folder) Create(name string) (io.WriteCloser, error) {
	return f.open(name, f.store.redactor.Writer)
}

// Capture opens a file of a format that counts its bytes, such as pcapng.
func (f *Folder) Capture(name string) (io.WriteCloser, error) {
	return f.open(name, f.store.redactor.Binary)
}

func (f *Folder) open(name string, redacted func(io.Writer) io.WriteCloser) (io.WriteCloser, error) {
	path, err := f.place(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	return &growing{WriteCloser: redacted(file), file: file}, nil
}

// growing closes the file behind its redactor.
type growing struct {
	io.WriteCloser
	file *os.File
}

func (g *growing) Close() error { return errors.Join(g.WriteCloser.Close(), g.file.Close()) }

// place makes the folder and names a file in it.
func (f *Folder) place(name string) (string, error) {
	if !filepath.IsLocal(name) || filepath.Base(name)[0] == '.' {
		return "", fmt.Errorf("keep %q: it is no name of a file in the spec's folder", name)
	}
	path := filepath.Join(f.Path(), f.store.redactor.String(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return path, nil
}

// Flow adds one probe to flows.json, which is a valid array at any time.
func (f *Folder) Flow(probe any) error {
	text, err := f.store.json(probe, "")
	if err != nil {
		return fmt.Errorf("keep a flow: %w", err)
	}
	return f.extend("flows.json", arrayList, text)
}

// extend adds an item to a file of items.
func (f *Folder) extend(name string, form listForm, item []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[name]
	if l == nil {
		path, err := f.place(name)
		if err != nil {
			return err
		}
		if l, err = newList(path, form); err != nil {
			return err
		}
		f.lists[name] = l
	}
	return l.add(item)
}
