package unit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// startService brings a service up as its Type= says.
func (r *Runner) startService(ctx context.Context, x *run) (err error) {
	s := x.unit.Service
	ctx, cancel := r.budget(ctx, s.TimeoutStart)
	defer cancel()
	if err := r.prepare(x); err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, errSkipped) {
			r.abandon(x)
		}
	}()
	if err := r.runAll(ctx, x, "ExecCondition"); err != nil {
		return err
	}
	if err := r.runAll(ctx, x, "ExecStartPre"); err != nil {
		return err
	}
	if s.Type == "oneshot" {
		if err := r.runAll(ctx, x, "ExecStart"); err != nil {
			return err
		}
	} else if err := r.startMain(ctx, x); err != nil {
		return err
	}
	if err := r.runAll(ctx, x, "ExecStartPost"); err != nil {
		return err
	}
	if s.Type == "oneshot" {
		state, result := active, ""
		if !s.RemainAfterExit {
			state, result = inactive, "success"
		}
		x.settle(state, result, topology.Position{})
	}
	return nil
}

// budget bounds a start or stop by what the unit says and by the runner's cap.
func (r *Runner) budget(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if r.options.Limit > 0 {
		d = min(d, r.options.Limit)
	}
	if d == forever {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("timeout after %s", d))
}

// prepare makes what a service needs before its first command.
func (r *Runner) prepare(x *run) error {
	s := x.unit.Service
	a, err := s.lookUp(r.root())
	if err != nil {
		return &lineError{at: s.at, err: err}
	}
	if r.options.Single {
		if err := s.changesUser(a); err != nil {
			return &lineError{at: s.at, err: err}
		}
	}
	env, err := r.environ(x.unit, a)
	if err != nil {
		return err
	}
	if err := r.makeDirectories(s, a); err != nil {
		return &lineError{at: s.at, err: err}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.account, x.env, x.main, x.ending = a, env, nil, false
	x.state, x.result, x.at = activating, "", topology.Position{}
	if x.journal == nil {
		if x.journal, err = newJournal(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) makeDirectories(s *Service, a account) error {
	for _, d := range s.Directories {
		for _, name := range d.names {
			full := filepath.Join(r.root()+d.parent, name)
			if err := os.MkdirAll(full, 0o755); err != nil {
				return fmt.Errorf("make %s/%s: %w", d.parent, name, err)
			}
			if err := os.Chmod(full, d.mode); err != nil {
				return fmt.Errorf("set the mode of %s/%s: %w", d.parent, name, err)
			}
			if d.parent == "/etc" || os.Geteuid() != 0 {
				continue // ConfigurationDirectory= stays root's (systemd.exec(5))
			}
			if err := os.Chown(full, int(a.uid), int(a.gid)); err != nil {
				return fmt.Errorf("own %s/%s: %w", d.parent, name, err)
			}
		}
	}
	return nil
}

// runAll runs a key's commands one after the other, each to its end.
func (r *Runner) runAll(ctx context.Context, x *run, key string) error {
	for _, c := range x.unit.Service.Commands[key] {
		if err := r.runOne(ctx, x, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) runOne(ctx context.Context, x *run, c Command) error {
	from := x.journal.size()
	p, err := r.spawn(ctx, x, c)
	if err != nil {
		if c.Forgiven {
			return nil
		}
		return &lineError{at: c.At, err: err}
	}
	exit, err := p.Wait(ctx)
	if err != nil {
		_ = p.Kill()
		return &lineError{at: c.At, err: fmt.Errorf("%s: %w", c, cause(ctx, err))}
	}
	if c.Forgiven || x.unit.Service.succeeded(exit) {
		return nil
	}
	if c.Key == "ExecCondition" && exit.Signal == 0 && exit.Code < 255 {
		return &lineError{at: c.At, err: fmt.Errorf("condition failed: %s: %w", c, errSkipped)}
	}
	return &lineError{at: c.At, err: r.verdict(ctx, x, c, exit, from)}
}

// verdict is why a command counts as failed: its exit and the line of its
// output that tells most.
func (r *Runner) verdict(ctx context.Context, x *run, c Command, exit Exit, from int) error {
	x.journal.sync(ctx)
	if said := telling(x.journal.since(from)); said != "" {
		return fmt.Errorf("%s: %v: %s", c, exit, said)
	}
	return fmt.Errorf("%s: %v", c, exit)
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

func (s *Service) succeeded(e Exit) bool {
	if e.Signal != 0 {
		for name := range s.SuccessSignals {
			if sig, err := signalNamed(name); err == nil && sig == e.Signal {
				return true
			}
		}
		return false
	}
	return s.Success[e.Code]
}

// spawn starts one command of a service.
func (r *Runner) spawn(ctx context.Context, x *run, c Command) (Process, error) {
	x.mu.Lock()
	env := map[string]string{}
	for name, value := range x.env {
		env[name] = value
	}
	if x.main != nil {
		env["MAINPID"] = strconv.Itoa(x.main.PID())
	}
	a, s := x.account, x.unit.Service
	x.mu.Unlock()
	e := Exec{Unit: x.unit.Name, Env: flat(env), Dir: "/", Output: x.journal.w}
	if !c.FullRight {
		e.UID, e.GID, e.Groups = a.uid, a.gid, a.groups
	}
	e.Argv = c.Argv
	if !c.Literal {
		e.Argv = fill(c.Argv, env)
	}
	var err error
	if e.Path, err = r.program(e.Argv[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	if c.Name != "" {
		e.Argv = append([]string{c.Name}, e.Argv[1:]...)
	}
	if s.Umask != defaultUmask {
		masked(&e, s.Umask)
	}
	if e.Dir, err = r.workingDirectory(s, a); err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	p, err := r.options.Starter.Start(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	return p, nil
}

// masked has a shell set the umask and become the program: a process that is
// started from Go gets the umask of the whole node. The shell cannot give a
// program another name, so one that @ names keeps its path.
func masked(e *Exec, umask int) {
	e.Argv = append([]string{"sh", "-c", fmt.Sprintf(`umask %04o && exec "$0" "$@"`, umask), e.Path}, e.Argv[1:]...)
	e.Path = "/bin/sh"
}

// program finds a program that is named without its folder.
func (r *Runner) program(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range strings.Split(searchPath, ":") {
		if info, err := os.Stat(r.root() + dir + "/" + name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return dir + "/" + name, nil
		}
	}
	return "", fmt.Errorf("%s is in none of %s: %w", name, searchPath, fs.ErrNotExist)
}

func (r *Runner) workingDirectory(s *Service, a account) (string, error) {
	dir := s.Dir
	if dir == "~" {
		dir = a.home
	}
	if dir == "" {
		return "/", nil
	}
	if info, err := os.Stat(r.root() + dir); err != nil || !info.IsDir() {
		if s.DirOptional {
			return "/", nil
		}
		return "", fmt.Errorf("WorkingDirectory=%s is no folder", dir)
	}
	return dir, nil
}

// startMain starts the process that is the service, and waits until it counts
// as started.
func (r *Runner) startMain(ctx context.Context, x *run) error {
	s := x.unit.Service
	c := s.Commands["ExecStart"][0]
	from := x.journal.size()
	if s.Type == "notify" {
		if err := r.openNotices(x); err != nil {
			return &lineError{at: c.At, err: err}
		}
	}
	p, err := r.spawn(ctx, x, c)
	if err != nil {
		return &lineError{at: c.At, err: err}
	}
	if s.Type == "forking" {
		return r.awaitFork(ctx, x, c, p, from)
	}
	ended := make(chan struct{})
	x.mu.Lock()
	x.main = p
	notices := x.notices
	x.mu.Unlock()
	go r.watch(x, p, c, from, ended)
	if s.Type == "notify" {
		select {
		case <-notices.ready:
		case <-ended:
			exit, err := p.Wait(ctx)
			if err != nil {
				return &lineError{at: c.At, err: fmt.Errorf("%s: %w", c, cause(ctx, err))}
			}
			return &lineError{at: c.At, err: fmt.Errorf("%w; it ended before it was ready", r.verdict(ctx, x, c, exit, from))}
		case <-ctx.Done():
			return &lineError{at: c.At, err: fmt.Errorf("%s: %w: it never said READY=1", c, cause(ctx, ctx.Err()))}
		}
	}
	x.started()
	return nil
}

// started settles a service as active, unless it has ended meanwhile.
func (x *run) started() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != failed && x.main != nil {
		x.state, x.result, x.at = active, "", topology.Position{}
	}
}

func (r *Runner) openNotices(x *run) error {
	dir := r.options.Notify
	if dir == "" {
		dir = r.root() + "/run/systemd/notify"
	}
	// Socket paths end at 107 bytes, so the unit's place in the set names it.
	n := 0
	for i, u := range r.set.Units {
		if u == x.unit {
			n = i
		}
	}
	notices, err := listenNotices(dir, strconv.Itoa(n))
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.notices != nil {
		_ = x.notices.conn.Close()
	}
	x.notices = notices
	x.env["NOTIFY_SOCKET"] = notices.path
	return nil
}

// awaitFork is Type=forking: the process ends when its daemon is ready.
func (r *Runner) awaitFork(ctx context.Context, x *run, c Command, p Process, from int) error {
	exit, err := p.Wait(ctx)
	if err != nil {
		_ = p.Kill()
		return &lineError{at: c.At, err: fmt.Errorf("%s: %w", c, cause(ctx, err))}
	}
	if !x.unit.Service.succeeded(exit) {
		return &lineError{at: c.At, err: r.verdict(ctx, x, c, exit, from)}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if file := x.unit.Service.PIDFile; file != "" {
		text, err := os.ReadFile(r.root() + file)
		if err != nil {
			return &lineError{at: c.At, err: fmt.Errorf("PIDFile=%s: %w", file, err)}
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 1 {
			return &lineError{at: c.At, err: fmt.Errorf("PIDFile=%s holds no process id", file)}
		}
		x.main = daemon(pid)
	}
	x.state, x.result, x.at = active, "", topology.Position{}
	return nil
}

// watch settles a service when its main process ends.
func (r *Runner) watch(x *run, p Process, c Command, from int, ended chan struct{}) {
	exit, err := p.Wait(context.Background())
	defer close(ended)
	x.mu.Lock()
	ending, current := x.ending, x.main == p
	x.mu.Unlock()
	if ending || !current {
		return
	}
	s := x.unit.Service
	why := err
	if err == nil && !s.succeeded(exit) {
		why = r.verdict(context.Background(), x, c, exit, from)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.main = nil
	switch {
	case why != nil:
		x.state, x.result, x.at = failed, why.Error(), c.At
		if s.Restart != "" && s.Restart != "no" {
			x.result += "; Restart=" + s.Restart + " is not acted on here"
		}
	case s.RemainAfterExit:
		x.state, x.result = active, ""
	default:
		x.state, x.result = inactive, "it ended by itself"
	}
}

// abandon ends what a failed start has left.
func (r *Runner) abandon(x *run) {
	x.mu.Lock()
	p := x.main
	x.ending = true
	x.main = nil
	x.mu.Unlock()
	if p != nil {
		_ = p.Kill()
	}
	x.closeNotices()
}

func (x *run) closeNotices() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.notices != nil {
		x.notices.close()
		x.notices = nil
	}
}
