package unit

import (
	"slices"
	"strings"

	"github.com/pbsdrill/pbsdrill/topology"
)

// arrange works out which unit waits for which. Only units of the set count,
// as in systemd's transactions: After= a unit that is not started means nothing.
func (s *Set) arrange() topology.Problems {
	places := map[[2]string]topology.Position{} // earlier, later → the line that says so
	edge := func(earlier, later string, at topology.Position) {
		a, ok := s.Unit(earlier)
		b, known := s.Unit(later)
		if !ok || !known || a == b {
			return
		}
		key := [2]string{a.Name, b.Name}
		if _, there := places[key]; !there {
			places[key] = at
			s.order[b.Name] = append(s.order[b.Name], a.Name)
		}
	}
	var problems topology.Problems
	for _, u := range s.Units {
		for name, at := range u.after {
			edge(name, u.Name, at)
		}
		for name, at := range u.before {
			edge(u.Name, name, at)
		}
		for name, at := range u.conflicts {
			if other, ok := s.Unit(name); ok && other.Skipped == "" && u.Skipped == "" {
				problems = append(problems, topology.Problem{Position: at, Text: u.Name + " and " + other.Name + " are both started and exclude each other: enable one of them"})
			}
		}
	}
	for _, u := range s.Units {
		s.byDefault(u, edge, places)
	}
	for _, earlier := range s.order {
		slices.Sort(earlier)
	}
	if cycle := s.cycle(); cycle != nil {
		at := places[[2]string{cycle[0], cycle[1]}]
		problems = append(problems, topology.Problem{Position: at, Text: "these units wait for each other: " + strings.Join(cycle, " → ") + "; remove one After= or Before="})
	}
	return problems
}

// byDefault adds the order that DefaultDependencies=yes means.
func (s *Set) byDefault(u *Unit, edge func(a, b string, at topology.Position), places map[[2]string]topology.Position) {
	if !u.defaults || u.Skipped != "" {
		return
	}
	if u.Service != nil {
		edge("sysinit.target", u.Name, topology.Position{File: u.Path})
		edge("basic.target", u.Name, topology.Position{File: u.Path})
		return
	}
	for _, p := range u.pulls {
		other, ok := s.Unit(p.unit)
		if !ok || !other.defaults {
			continue
		}
		if _, reverse := places[[2]string{u.Name, other.Name}]; !reverse {
			edge(other.Name, u.Name, p.at)
		}
	}
}

// cycle finds units that wait for each other, first and last being the same.
func (s *Set) cycle() []string {
	const entered, left = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case left:
			return nil
		case entered:
			loop := append(slices.Clone(path[slices.Index(path, name):]), name)
			slices.Reverse(loop) // the path runs from the later to the earlier
			return loop
		}
		state[name] = entered
		path = append(path, name)
		for _, earlier := range s.order[name] {
			if loop := visit(earlier); loop != nil {
				return loop
			}
		}
		path = path[:len(path)-1]
		state[name] = left
		return nil
	}
	for _, u := range s.Units {
		if loop := visit(u.Name); loop != nil {
			return loop
		}
	}
	return nil
}
