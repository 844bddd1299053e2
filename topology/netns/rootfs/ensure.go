package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Ensure returns the root that the options ask for, making it when the cache
// does not have it. A cached one costs milliseconds and no network. A root
// that a crash left half made is never returned, and one that was damaged
// since is made again.
func Ensure(ctx context.Context, o Options) (Root, error) {
	if len(o.IDs) == 0 && o.Enter == nil {
		return Root{}, errors.New("make the root file system: neither ids nor a user namespace to write its files in")
	}
	m, err := newMaker(o)
	if err != nil {
		return Root{}, err
	}
	root, err := m.ensure(ctx)
	if err != nil {
		return Root{}, fmt.Errorf("make the root file system: %w", explain(err, m.Cache))
	}
	return root, nil
}

func newMaker(o Options) (*maker, error) {
	if o.Cache == "" {
		cache, err := DefaultCache()
		if err != nil {
			return nil, err
		}
		o.Cache = cache
	}
	if err := os.MkdirAll(o.Cache, privacy()); err != nil {
		return nil, fmt.Errorf("make the cache: %w", explain(err, o.Cache))
	}
	return &maker{Options: o, begun: time.Now()}, nil
}

// privacy is the mode of what holds a root. An ordinary user's root has setuid
// programs of that very user: nobody else may get there. As root they belong to
// ids that nobody has.
func privacy() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o755
	}
	return 0o700
}

// Remove removes a folder of the cache, which may hold files of other ids. It
// refuses where something is mounted below: what a build that was killed has
// left bound there may be the machine's own /dev.
func Remove(ctx context.Context, o Options, dir string) error {
	if err := unmounted(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err == nil || o.Enter == nil {
		return err
	}
	return o.Enter(ctx, Program, []string{"remove", dir}, nil)
}

func unmounted(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("look for mounts below %s: %w", dir, err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			return fmt.Errorf("%s is still mounted: umount it, then run this again", fields[4])
		}
	}
	return nil
}

type maker struct {
	Options
	begun time.Time
}

func (m *maker) say(format string, args ...any) {
	if m.Progress != nil {
		m.Progress(fmt.Sprintf("root file system: %s (%.0f s)", fmt.Sprintf(format, args...), time.Since(m.begun).Seconds()))
	}
}

func (m *maker) ensure(ctx context.Context) (Root, error) {
	content := recipe()
	if m.Source != "" {
		sum, err := m.sourceSum(ctx)
		if err != nil {
			return Root{}, err
		}
		content = sum
	}
	return m.cached(ctx, rootName(content, m.IDs), func(made string) (manifest, error) {
		sum, err := m.fill(ctx, made, content)
		return manifest{SHA256: sum, Source: m.Source}, err
	})
}

// cached returns the root of a name, having it made where there is none that
// is whole.
func (m *maker) cached(ctx context.Context, name string, fill func(made string) (manifest, error)) (Root, error) {
	dir := filepath.Join(m.Cache, name)
	root, err := check(dir)
	if err == nil {
		return root, nil
	}
	release, err := lock(ctx, filepath.Join(m.Cache, "lock"), func() { m.say("waiting for another process that makes it") })
	if err != nil {
		return Root{}, err
	}
	defer release()
	root, err = check(dir) // somebody else may have made it meanwhile
	if err == nil {
		return root, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		m.say("%v: making it again", err)
	}
	if err := m.clear(ctx); err != nil {
		return Root{}, err
	}
	return m.make(ctx, dir, fill)
}

// partial marks what is not finished. Under the lock, every such name is what
// a crash left.
const partial = ".partial-"

// workName is a pattern for the folders that mmdebstrap works in. They lie
// outside the cache, since the ids that it takes on cannot pass through a
// private home; the cache is part of the name, so that its lock covers them.
func (m *maker) workName() string { return "pbsdrill-build-" + digest(m.Cache) + "-*" }

func (m *maker) clear(ctx context.Context) error {
	left, err := filepath.Glob(filepath.Join(m.Cache, partial+"*"))
	if err != nil {
		return err
	}
	builds, err := filepath.Glob(filepath.Join(os.TempDir(), m.workName()))
	if err != nil {
		return err
	}
	for _, name := range append(left, builds...) {
		if err := Remove(ctx, m.Options, name); err != nil {
			return fmt.Errorf("remove what a crash left: %w", err)
		}
	}
	return nil
}

func (m *maker) make(ctx context.Context, dir string, fill func(made string) (manifest, error)) (Root, error) {
	made, err := os.MkdirTemp(m.Cache, partial)
	if err != nil {
		return Root{}, err
	}
	// Even when the caller gives up, nothing half done stays.
	defer func() { _ = Remove(context.WithoutCancel(ctx), m.Options, made) }()
	if err := os.Chmod(made, privacy()); err != nil {
		return Root{}, err
	}
	known, err := fill(made)
	if err != nil {
		return Root{}, err
	}
	if err := known.write(made); err != nil {
		return Root{}, err
	}
	if err := m.replace(ctx, dir, made); err != nil {
		return Root{}, err
	}
	m.say("ready")
	return check(dir)
}

// replace puts a finished root in place. A damaged one is moved aside first,
// so that the name never shows half of anything.
func (m *maker) replace(ctx context.Context, dir, made string) error {
	if _, err := os.Lstat(dir); err == nil {
		aside, err := os.MkdirTemp(m.Cache, partial)
		if err != nil {
			return err
		}
		defer func() { _ = Remove(context.WithoutCancel(ctx), m.Options, aside) }()
		if err := os.Rename(dir, filepath.Join(aside, "damaged")); err != nil {
			return err
		}
	}
	return os.Rename(made, dir)
}

// fill unpacks what the options ask for and returns the hash of its tarball.
func (m *maker) fill(ctx context.Context, made, content string) (string, error) {
	if m.Source == "" {
		tarball := filepath.Join(m.Cache, "debian-"+suite+"-"+content+".tar")
		sum, err := m.fillBuilt(ctx, made, tarball)
		return sum, err
	}
	info, err := os.Stat(m.Source)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		m.say("unpacking %s", m.Source)
		return m.fillTarball(ctx, made, m.Source)
	}
	m.say("copying %s", m.Source)
	if m.Enter != nil {
		return content, m.Enter(ctx, Program, []string{"copy", m.Source, made}, nil)
	}
	return content, copyFolder(ctx, m.Source, made, m.IDs)
}

// fillBuilt unpacks the built-in root, building its tarball when there is none
// or when it is not what was built.
func (m *maker) fillBuilt(ctx context.Context, made, tarball string) (string, error) {
	want, err := os.ReadFile(tarball + ".sha256")
	if err == nil {
		sum, err := m.fillTarball(ctx, made, tarball)
		if err == nil && sum == strings.TrimSpace(string(want)) {
			return sum, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		m.say("the cached tarball is damaged: building it again")
		if err := Remove(ctx, m.Options, filepath.Join(made, "root")); err != nil {
			return "", err
		}
	}
	if err := m.build(ctx, tarball); err != nil {
		return "", err
	}
	return m.fillTarball(ctx, made, tarball)
}

// build makes the tarball. Its hash is written last: a tarball without one
// does not count.
func (m *maker) build(ctx context.Context, tarball string) error {
	m.say("building Debian 13 with mmdebstrap, once: 20 to 60 s")
	f, err := os.CreateTemp(m.Cache, partial+"*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	work, err := os.MkdirTemp("", m.workName())
	if err != nil {
		return err
	}
	defer func() { _ = Remove(context.WithoutCancel(ctx), m.Options, work) }()
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	if err := build(ctx, f, work, m.Options, func(step string) { m.say("%s", step) }); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	sum, err := fingerprint(ctx, f.Name())
	if err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), tarball); err != nil {
		return err
	}
	return os.WriteFile(tarball+".sha256", []byte(sum+"\n"), 0o644)
}

// fillTarball unpacks a tarball, hashing it on the way.
func (m *maker) fillTarball(ctx context.Context, made, tarball string) (string, error) {
	f, err := os.Open(tarball)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	hashed := io.TeeReader(f, h)
	r, err := decompress(tarball, hashed)
	if err != nil {
		return "", err
	}
	if m.Enter != nil {
		err = m.Enter(ctx, Program, []string{"unpack", made}, r)
	} else {
		err = unpack(ctx, made, r, m.IDs)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", tarball, err)
	}
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sourceSum is the fingerprint of the site's own root. A tarball that has not
// changed since is not read again: hashing 200 MB takes longer than a boot.
func (m *maker) sourceSum(ctx context.Context) (string, error) {
	info, err := os.Stat(m.Source)
	if err != nil {
		return "", fmt.Errorf("the site's rootfs: %w", err)
	}
	if info.IsDir() {
		return fingerprint(ctx, m.Source)
	}
	note := filepath.Join(m.Cache, "source-"+digest(m.Source)+".json")
	seen := sighting{Size: info.Size(), Changed: info.ModTime()}
	var before sighting
	if text, err := os.ReadFile(note); err == nil && json.Unmarshal(text, &before) == nil &&
		before.Size == seen.Size && before.Changed.Equal(seen.Changed) && before.SHA256 != "" {
		return before.SHA256, nil
	}
	seen.SHA256, err = fingerprint(ctx, m.Source)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(seen)
	if err != nil {
		return "", err
	}
	// Only to save time; another process that clears the cache may take the
	// unfinished note for what a crash left.
	_ = writeWhole(note, text)
	return seen.SHA256, nil
}

// sighting is a tarball as it was when it was hashed.
type sighting struct {
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
	SHA256  string    `json:"sha256"`
}

// writeWhole writes a small file so that nobody sees half of it.
func writeWhole(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), partial+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
