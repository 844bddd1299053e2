package topology

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// rootUnits are the unit files that the root's packages and the driver bring,
// as far as a site enables them by hand. systemd-* is known as a whole.
var rootUnits = []string{
	"conntrackd.service",
	"cron.service",
	"getty@.service",
	"netfilter-persistent.service",
	"nftables.service",
	"proxmox-backup-daily-update.timer",
	"proxmox-backup-proxy.service",
	"proxmox-backup.service",
	"remote-fs.target",
	"serial-getty@.service",
	"ssh.service",
	"ssh.socket",
	"ssh@.service",
	"sshd-keygen.service",
	"sshd.service",
	"wg-quick.target",
	"wg-quick@.service",
	"wireguard.target",
}

// unitFolders is where unit files stand, inside a node.
var unitFolders = []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/usr/local/lib/systemd/system"}

var enabling = regexp.MustCompile(`^/etc/systemd/system/[^/]+\.(wants|requires)/([^/]+)$`)

// enablesUnit says whether the file at this path enables a unit at boot.
func enablesUnit(name string) bool { return enabling.MatchString(name) }

// units checks that each enabled unit has a unit file.
func (l *loader) units() {
	for _, m := range l.site.Nodes {
		for _, f := range m.Files {
			parts := enabling.FindStringSubmatch(f.Path)
			if parts == nil {
				continue
			}
			l.unit(m, f, parts[2])
		}
	}
}

func (l *loader) unit(m *Machine, f File, name string) {
	template, instance := unitTemplate(name)
	if template == "wg-quick@.service" {
		conf := "/etc/wireguard/" + instance + ".conf"
		if _, ok := m.File(conf); !ok {
			l.problem(f.At, "", "enables %s, and there is no nodes/%s%s", name, m.Name, conf)
		}
	}
	// Another root has other packages; whether they bring the unit is only
	// seen once it runs.
	if l.site.RootFS != "" {
		return
	}
	known := slices.Clone(rootUnits)
	for _, own := range m.Files {
		if slices.Contains(unitFolders, path.Dir(own.Path)) {
			known = append(known, path.Base(own.Path))
		}
	}
	if strings.HasPrefix(name, "systemd-") || slices.Contains(known, name) || slices.Contains(known, template) {
		return
	}
	l.problem(f.At, "", "enables %s, and there is no such unit: neither nodes/%s/etc/systemd/system/%s nor one of the root's packages%s",
		name, m.Name, template, suggestion(template, known))
}

// suggestion is a way out only where one is near.
func suggestion(word string, known []string) string {
	if best, ok := nearest(word, known); ok {
		return wayOut(word, []string{best})
	}
	return ""
}

// unitTemplate splits wg-quick@wg0.service into wg-quick@.service and wg0. A
// unit that is no instance is its own template.
func unitTemplate(name string) (template, instance string) {
	prefix, rest, ok := strings.Cut(name, "@")
	if !ok {
		return name, ""
	}
	suffix := path.Ext(rest)
	return prefix + "@" + suffix, strings.TrimSuffix(rest, suffix)
}
