package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// searchPath is where systemd looks for programs (systemd.exec(5)).
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

// environ is a service's environment by name, before what changes from command
// to command.
func (r *Runner) environ(u *Unit, a account) (map[string]string, error) {
	s := u.Service
	env := map[string]string{"PATH": searchPath}
	put := func(list []string) {
		for _, text := range list {
			name, value, _ := strings.Cut(text, "=")
			env[name] = value
		}
	}
	put(r.options.Env)
	for _, name := range s.PassEnv {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	if s.User != "" {
		put([]string{"USER=" + a.name, "LOGNAME=" + a.name, "HOME=" + a.home, "SHELL=" + a.shell})
	}
	for _, d := range s.Directories {
		if name := directoryVariable[d.parent]; len(d.names) > 0 {
			env[name] = d.parent + "/" + strings.Join(d.names, ":"+d.parent+"/")
		}
	}
	put(s.Environment)
	for _, f := range s.EnvFiles {
		text, err := os.ReadFile(r.root() + f.path)
		if errors.Is(err, fs.ErrNotExist) && f.optional {
			continue
		}
		if err != nil {
			return nil, &lineError{at: f.at, err: fmt.Errorf("EnvironmentFile=%s: %w", f.path, err)}
		}
		put(assignments(string(text)))
	}
	for _, name := range s.Unset {
		name, _, _ = strings.Cut(name, "=")
		delete(env, name)
	}
	return env, nil
}

var directoryVariable = map[string]string{
	"/run": "RUNTIME_DIRECTORY", "/var/lib": "STATE_DIRECTORY", "/var/cache": "CACHE_DIRECTORY",
	"/var/log": "LOGS_DIRECTORY", "/etc": "CONFIGURATION_DIRECTORY",
}

// assignments reads an environment file: a NAME=VALUE a line, quotes taken
// off, lines that are something else passed over, as systemd does.
func assignments(text string) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || !isVariable(strings.TrimSpace(name)) {
			continue
		}
		out = append(out, strings.TrimSpace(name)+"="+unquoted(strings.TrimSpace(value)))
	}
	return out
}

func unquoted(value string) string {
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
		return value
	}
	inner := value[1 : len(value)-1]
	if value[0] == '"' {
		inner = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(inner)
	}
	return inner
}

func flat(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, value := range env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}
