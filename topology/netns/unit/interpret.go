package unit

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pbsdrill/pbsdrill/topology"
)

// interpret turns the directives into what they mean. What matters and is not
// honoured is a problem.
func (u *Unit) interpret() topology.Problems {
	if split(u.Name).suffix == "service" {
		u.Service = newService(topology.Position{File: u.Path})
	}
	var problems topology.Problems
	for _, d := range u.Directives {
		if err := u.take(d); err != nil {
			problems = append(problems, topology.Problem{Position: d.At, Text: err.Error()})
		}
	}
	if u.Service != nil && len(problems) == 0 {
		if err := u.Service.finish(); err != nil {
			problems = append(problems, topology.Problem{Position: u.Service.at, Text: err.Error()})
		}
	}
	return problems
}

func (u *Unit) take(d Directive) error {
	if passedOver(d) {
		return nil
	}
	switch {
	case d.Section == "Unit":
		return u.takeUnit(d)
	case d.Section == "Service" && u.Service != nil:
		return u.takeService(d)
	}
	return fmt.Errorf("[%s] is not supported in %s", d.Section, u.Name)
}

func (u *Unit) takeUnit(d Directive) error {
	if strings.HasPrefix(d.Key, "Condition") || strings.HasPrefix(d.Key, "Assert") {
		return u.takeCondition(d)
	}
	value, err := u.expand(d.Value)
	if err != nil {
		return err
	}
	names := strings.Fields(value)
	switch d.Key {
	case "Wants", "Upholds", "Requires", "BindsTo", "Requisite":
		for _, name := range names {
			u.pulls = append(u.pulls, pull{unit: name, hard: d.Key != "Wants" && d.Key != "Upholds", at: d.At})
		}
	case "After", "Before", "Conflicts":
		into := map[string]map[string]topology.Position{"After": u.after, "Before": u.before, "Conflicts": u.conflicts}[d.Key]
		for _, name := range names {
			into[name] = d.At
		}
	case "DefaultDependencies":
		u.defaults, err = boolean(value)
		return err
	default:
		return refuse(d)
	}
	return nil
}

// refuse is the answer to what matters and is not honoured.
func refuse(d Directive) error {
	if way := unsupported[d.Key]; way != "" {
		return fmt.Errorf("%s is not supported: %s", d, way)
	}
	return fmt.Errorf("%s is not supported", d)
}

func (u *Unit) takeService(d Directive) error {
	s := u.Service
	if strings.HasPrefix(d.Key, "Exec") {
		return u.takeExec(d)
	}
	if d.Key == "Environment" {
		return u.takeEnvironment(d)
	}
	value, err := u.expand(d.Value)
	if err != nil {
		return err
	}
	if kind, ok := strings.CutSuffix(d.Key, "Mode"); ok && parents[kind] != "" {
		s.folder(kind).mode, err = mode(value)
		return err
	}
	if parents[d.Key] != "" {
		return s.takeDirectories(d.Key, value)
	}
	switch d.Key {
	case "Type":
		s.Type, s.at = value, d.At
	case "Restart":
		s.Restart = value
	case "RemainAfterExit":
		s.RemainAfterExit, err = boolean(value)
	case "EnvironmentFile":
		s.takeEnvFile(value, d.At)
	case "PassEnvironment":
		s.PassEnv = listed(s.PassEnv, value)
	case "UnsetEnvironment":
		s.Unset = listed(s.Unset, value)
	case "User":
		s.User = value
	case "Group":
		s.Group = value
	case "SupplementaryGroups":
		s.Groups = listed(s.Groups, value)
	case "WorkingDirectory":
		err = s.takeWorkingDirectory(value)
	case "UMask":
		m, wrong := mode(value)
		s.Umask, err = int(m), wrong
	case "PIDFile":
		s.PIDFile = value
		if value != "" && !path.IsAbs(value) {
			s.PIDFile = "/run/" + value
		}
	case "TimeoutStartSec":
		s.TimeoutStart, err = span(value)
	case "TimeoutStopSec":
		s.TimeoutStop, err = span(value)
	case "TimeoutSec":
		s.TimeoutStart, err = span(value)
		s.TimeoutStop = s.TimeoutStart
	case "KillSignal":
		s.KillSignal, err = signalNamed(value)
	case "KillMode":
		s.KillMode = value
		if !slices.Contains([]string{"control-group", "mixed", "process", "none"}, value) {
			err = fmt.Errorf("KillMode=%s does not exist", value)
		}
	case "SuccessExitStatus":
		err = s.takeSuccess(value)
	default:
		err = refuse(d)
	}
	return err
}

var execKeys = []string{"ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"}

func (u *Unit) takeExec(d Directive) error {
	if !slices.Contains(execKeys, d.Key) {
		return refuse(d)
	}
	if d.Value == "" { // an empty line starts the list anew
		delete(u.Service.Commands, d.Key)
		return nil
	}
	commands, err := u.commands(d)
	if err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	u.Service.Commands[d.Key] = append(u.Service.Commands[d.Key], commands...)
	return nil
}

func (u *Unit) takeEnvironment(d Directive) error {
	if d.Value == "" {
		u.Service.Environment = nil
		return nil
	}
	words, err := splitWords(d.Value)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Key, err)
	}
	for _, w := range words {
		text, err := u.expand(w.text)
		if err != nil {
			return err
		}
		name, _, ok := strings.Cut(text, "=")
		if !ok || !isVariable(name) {
			return fmt.Errorf("%s: a word of it is not NAME=VALUE", d.Key)
		}
		u.Service.Environment = append(u.Service.Environment, text)
	}
	return nil
}

func (s *Service) takeEnvFile(value string, at topology.Position) {
	if value == "" {
		s.EnvFiles = nil
		return
	}
	name, optional := strings.CutPrefix(value, "-")
	s.EnvFiles = append(s.EnvFiles, envFile{path: name, optional: optional, at: at})
}

func (s *Service) takeWorkingDirectory(value string) error {
	s.Dir, s.DirOptional = strings.CutPrefix(value, "-")
	if s.Dir != "" && s.Dir != "~" && !path.IsAbs(s.Dir) {
		return fmt.Errorf("WorkingDirectory=%s is not absolute", value)
	}
	return nil
}

func (s *Service) folder(kind string) *directory {
	for i := range s.Directories {
		if s.Directories[i].parent == parents[kind] {
			return &s.Directories[i]
		}
	}
	s.Directories = append(s.Directories, directory{parent: parents[kind], mode: 0o755})
	return &s.Directories[len(s.Directories)-1]
}

func (s *Service) takeDirectories(kind, value string) error {
	d := s.folder(kind)
	if value == "" {
		d.names = nil
	}
	for _, name := range strings.Fields(value) {
		if path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") || strings.Contains(name, ":") {
			return fmt.Errorf("%s=%s is no plain name of a folder", kind, name)
		}
		d.names = append(d.names, name)
	}
	return nil
}

func (s *Service) takeSuccess(value string) error {
	for _, word := range strings.Fields(value) {
		if n, err := strconv.Atoi(word); err == nil && n >= 0 && n < 256 {
			s.Success[n] = true
			continue
		}
		if _, err := signalNamed(word); err != nil {
			return fmt.Errorf("SuccessExitStatus=%s: give a number or a signal", word)
		}
		s.SuccessSignals[word] = true
	}
	return nil
}

func signalNamed(name string) (syscall.Signal, error) {
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); s != 0 {
		return s, nil
	}
	return 0, fmt.Errorf("%q is no signal", name)
}

// listed adds words to a list; nothing starts it anew.
func listed(list []string, value string) []string {
	if value == "" {
		return nil
	}
	return append(list, strings.Fields(value)...)
}

// finish fills in what was not said and checks what only the whole shows.
func (s *Service) finish() error {
	starts := s.Commands["ExecStart"]
	if s.Type == "" {
		s.Type = "simple"
		if len(starts) == 0 {
			s.Type = "oneshot"
		}
	}
	switch s.Type {
	case "simple", "exec", "oneshot", "notify", "forking":
	case "idle":
		s.Type = "simple" // idle only keeps a console readable
	case "notify-reload":
		s.Type = "notify"
	default:
		return fmt.Errorf("%s is not supported: nodes know simple, exec, oneshot, notify and forking", "Type="+s.Type)
	}
	if len(starts) == 0 && (s.Type != "oneshot" || !s.RemainAfterExit && len(s.Commands["ExecStop"]) == 0) {
		return errors.New("the service has no ExecStart=")
	}
	if len(starts) > 1 && s.Type != "oneshot" {
		return fmt.Errorf("only Type=oneshot may have several ExecStart=, and this service is %s", s.Type)
	}
	if s.TimeoutStart == 0 {
		s.TimeoutStart = defaultTimeout
		if s.Type == "oneshot" {
			s.TimeoutStart = forever
		}
	}
	return nil
}
