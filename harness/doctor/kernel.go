package doctor

import (
	"bufio"
	"io/fs"
	"path"
	"strings"
)

// read is the text of one of the machine's files, trimmed; "" when there is none.
func (m Machine) read(name string) string {
	b, err := fs.ReadFile(m.Root, strings.TrimPrefix(name, "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (m Machine) has(name string) bool {
	_, err := fs.Stat(m.Root, strings.TrimPrefix(name, "/"))
	return err == nil
}

// sleeping says that the module lies on disk and is not loaded: using it would
// load it, which is a change of the machine.
func (m Machine) sleeping(module string) bool {
	if m.has("/sys/module/" + module) {
		return false
	}
	for _, line := range strings.Split(m.read("/proc/modules"), "\n") {
		if name, _, _ := strings.Cut(line, " "); name == module {
			return false
		}
	}
	return m.listed("modules.dep", module) && !m.listed("modules.builtin", module)
}

func (m Machine) listed(index, module string) bool {
	f, err := m.Root.Open(path.Join("lib/modules", m.Release, index))
	if err != nil {
		f, err = m.Root.Open(path.Join("usr/lib/modules", m.Release, index))
	}
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		file, _, _ := strings.Cut(lines.Text(), ":")
		name, _, _ := strings.Cut(path.Base(file), ".ko")
		// a module's file may be written with dashes where its name has underscores
		if strings.ReplaceAll(name, "-", "_") == module {
			return true
		}
	}
	return false
}
