package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Unit is a service or a target that a node's boot starts, or says why not.
type Unit struct {
	Name       string
	Path       string      // of its file, inside the node
	Directives []Directive // drop-ins last
	Service    *Service    // nil for a target
	Skipped    string      // why it is not run here; "" when it is

	node       string // the node's name, for %H
	defaults   bool   // DefaultDependencies=
	conditions []condition
	pulls      []pull
	after      map[string]topology.Position
	before     map[string]topology.Position
	conflicts  map[string]topology.Position
}

func (u *Unit) init() {
	u.after, u.before, u.conflicts = map[string]topology.Position{}, map[string]topology.Position{}, map[string]topology.Position{}
}

// pull is one unit that another one wants or requires.
type pull struct {
	unit string
	hard bool // Requires=: its failure is ours
	at   topology.Position
}

// Set is what one boot starts, ordered.
type Set struct {
	Units []*Unit // sorted by name
	// Notes says what the node's files ask for and a boot here does not do.
	Notes []string

	byName map[string]*Unit
	order  map[string][]string // a unit → those that come before it
	alias  map[string]string   // a name that was asked for → the unit it stands for
}

// Unit returns a unit of the set by its name or an alias.
func (s *Set) Unit(name string) (*Unit, bool) {
	if real, ok := s.alias[name]; ok {
		name = real
	}
	u, ok := s.byName[name]
	return u, ok
}

// network.target is there because the driver brings the network up, as
// ifupdown would. systemd-sysctl is wanted by sysinit.target on every Debian,
// and whether a node forwards packets hangs on it.
var always = []string{"default.target", "network.target", "systemd-sysctl.service"}

// Load reads what the node with this name and root starts at boot. The error is
// [topology.Problems], with everything that is wrong; the set then holds what
// could be read.
func Load(root fs.FS, node string) (*Set, error) {
	l := &loader{
		tree: newTree(root), node: node,
		set: &Set{byName: map[string]*Unit{}, alias: map[string]string{}, order: map[string][]string{}},
	}
	for _, name := range always {
		l.want(pull{unit: name})
	}
	for len(l.queue) > 0 {
		next := l.queue[0]
		l.queue = l.queue[1:]
		l.load(next)
	}
	l.unreached()
	for _, u := range l.set.byName {
		l.set.Units = append(l.set.Units, u)
	}
	slices.SortFunc(l.set.Units, func(a, b *Unit) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(l.set.Notes)
	l.problems = append(l.problems, l.set.arrange()...)
	if len(l.problems) == 0 {
		return l.set, nil
	}
	l.problems.Sort()
	return l.set, slices.Compact(l.problems)
}

type loader struct {
	tree     tree
	node     string
	set      *Set
	queue    []*Unit
	problems topology.Problems
}

func (l *loader) problem(at topology.Position, format string, args ...any) {
	l.problems = append(l.problems, topology.Problem{Position: at, Text: fmt.Sprintf(format, args...)})
}

func (l *loader) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(l.set.Notes, text) {
		l.set.Notes = append(l.set.Notes, text)
	}
}

// want adds a unit to the boot, once. A pull without a place is our own.
func (l *loader) want(p pull) {
	if _, known := l.set.Unit(p.unit); known {
		return
	}
	f, ok := l.tree.find(p.unit)
	if !ok {
		l.missing(p)
		return
	}
	if f.name != p.unit {
		l.set.alias[p.unit] = f.name
		if _, known := l.set.byName[f.name]; known {
			return
		}
	}
	u := &Unit{Name: f.name, Path: f.path, node: l.node, defaults: true}
	u.init()
	switch suffix := split(f.name).suffix; {
	case f.masked:
		u.Skipped = "masked by " + f.path
	case suffix == "socket" && p.enabled():
		l.problem(p.at, "socket activation is not supported yet: enable %s.service instead", split(f.name).prefix)
		return
	case suffix != "service" && suffix != "target":
		if p.enabled() {
			u.Skipped = suffix + " units are not run yet"
			l.note("%s is enabled: %s", f.name, u.Skipped)
			l.set.byName[f.name] = u
		}
		return
	default:
		u.Skipped = notRun(f.name)
	}
	l.set.byName[f.name] = u
	if u.Skipped != "" {
		if p.enabled() {
			l.note("%s is enabled and not run: %s", f.name, u.Skipped)
		}
		return
	}
	l.queue = append(l.queue, u)
}

// enabled tells whether the site's own link asks for the unit.
func (p pull) enabled() bool { return strings.HasPrefix(p.at.File, folders[0]+"/") && p.at.Line == 0 }

// missing is a unit without a file: systemd goes on without one that is only
// wanted in a unit file, and a link that enables nothing is a mistake.
func (l *loader) missing(p pull) {
	switch {
	case p.at.File == "" || notRun(p.unit) != "":
	case p.enabled():
		l.problem(p.at, "%s is enabled and has no unit file: put one into /etc/systemd/system, or remove this link", p.unit)
	case p.hard:
		l.problem(p.at, "%s is required and has no unit file", p.unit)
	}
}

func (l *loader) load(u *Unit) {
	for _, file := range append([]string{u.Path}, l.tree.dropIns(u.Name)...) {
		text, err := l.tree.read(file)
		if err != nil {
			l.problem(topology.Position{File: file}, "cannot be read: %v", err)
			continue
		}
		directives, err := Parse(file, text)
		var problems topology.Problems
		if errors.As(err, &problems) {
			l.problems = append(l.problems, problems...)
		}
		u.Directives = append(u.Directives, directives...)
	}
	l.problems = append(l.problems, u.interpret()...)
	for _, link := range l.tree.links(u.Name) {
		u.pulls = append(u.pulls, pull{unit: link.unit, hard: link.hard, at: topology.Position{File: link.at}})
	}
	for _, p := range u.pulls {
		l.want(p)
	}
}

// unreached names what is enabled for a target that no boot here starts, such
// as getty.target.
func (l *loader) unreached() {
	for _, dir := range l.tree.list(folders[0]) {
		target, ok := strings.CutSuffix(dir, ".wants")
		if !ok || !strings.HasSuffix(target, ".target") {
			continue
		}
		if _, started := l.set.Unit(target); started {
			continue
		}
		for _, name := range l.tree.list(folders[0] + "/" + dir) {
			l.note("%s is enabled for %s, which is not started here", name, target)
		}
	}
}
