package unit

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// account is a user of the node, from its own /etc/passwd and /etc/group.
type account struct {
	name, home, shell string
	uid, gid          uint32
	groups            []uint32
}

var rootAccount = account{name: "root", home: "/root", shell: "/bin/sh"}

// lookUp finds who a service runs as; root says where the node's root is.
func (s *Service) lookUp(root string) (account, error) {
	a := rootAccount
	if s.User != "" {
		fields, err := record(root+"/etc/passwd", s.User, 7)
		if err != nil {
			return a, fmt.Errorf("%s: %w", "User="+s.User, err)
		}
		a.name, a.home, a.shell = fields[0], fields[5], fields[6]
		if a.uid, err = id(fields[2]); err != nil {
			return a, err
		}
		if a.gid, err = id(fields[3]); err != nil {
			return a, err
		}
		a.groups = memberships(root+"/etc/group", a.name)
	}
	for i, name := range append([]string{s.Group}, s.Groups...) {
		if name == "" {
			continue
		}
		fields, err := record(root+"/etc/group", name, 3)
		if err != nil {
			return a, fmt.Errorf("%s: %w", "Group="+name, err)
		}
		gid, err := id(fields[2])
		if err != nil {
			return a, err
		}
		if i == 0 {
			a.gid = gid
		} else {
			a.groups = append(a.groups, gid)
		}
	}
	if !slices.Contains(a.groups, a.gid) {
		a.groups = append(a.groups, a.gid)
	}
	return a, nil
}

// changesUser is an error, naming the directive, for a service that runs as
// anybody but root.
func (s *Service) changesUser(a account) error {
	const why = "nodes have one user here, root: this machine gives you no range of ids"
	switch {
	case a.uid != 0:
		return fmt.Errorf("User=%s: %s", s.User, why)
	case a.gid != 0 && s.Group != "":
		return fmt.Errorf("Group=%s: %s", s.Group, why)
	case len(s.Groups) > 0:
		return fmt.Errorf("SupplementaryGroups=%s: %s", strings.Join(s.Groups, " "), why)
	}
	return nil
}

// record finds the line of a name or a number.
func record(file, name string, fields int) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= fields && (f[0] == name || f[2] == name) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s does not have it", file)
}

func memberships(file, user string) []uint32 {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []uint32
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 && slices.Contains(strings.Split(f[3], ","), user) {
			if gid, err := id(f[2]); err == nil {
				out = append(out, gid)
			}
		}
	}
	return out
}

func id(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no id", s)
	}
	return uint32(n), nil
}
