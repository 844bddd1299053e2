package unit

import (
	"fmt"
	"path"
	"strings"

	systemd "github.com/coreos/go-systemd/v22/unit"
)

// parts are the pieces of a unit's name: wg-quick@wg0.service has the prefix
// wg-quick, the instance wg0 and the suffix service.
type parts struct {
	prefix, instance, suffix string
	templated                bool // there is an @
}

func split(name string) parts {
	stem, suffix := name, ""
	if i := strings.LastIndex(name, "."); i >= 0 {
		stem, suffix = name[:i], name[i+1:]
	}
	prefix, instance, templated := strings.Cut(stem, "@")
	return parts{prefix: prefix, instance: instance, suffix: suffix, templated: templated}
}

// template is the name of the file that instances share, "" without one.
func (p parts) template() string {
	if !p.templated || p.instance == "" {
		return ""
	}
	return p.prefix + "@." + p.suffix
}

// instantiate gives a template the instance of another name.
func instantiate(template, instance string) string {
	p := split(template)
	if !p.templated || p.instance != "" {
		return template
	}
	return p.prefix + "@" + instance + "." + p.suffix
}

// expand replaces the specifiers of a value, such as %i. See systemd.unit(5).
func (u *Unit) expand(value string) (string, error) {
	if !strings.Contains(value, "%") {
		return value, nil
	}
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			out.WriteByte(value[i])
			continue
		}
		i++
		if i == len(value) {
			return "", fmt.Errorf("a %% at the end must be written %%%%")
		}
		text, err := u.specifier(value[i])
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

func (u *Unit) specifier(letter byte) (string, error) {
	p := split(u.Name)
	short, _, _ := strings.Cut(u.node, ".")
	last := p.prefix[strings.LastIndex(p.prefix, "-")+1:]
	fixed := map[byte]string{
		'%': "%", 'n': u.Name, 'N': strings.TrimSuffix(u.Name, "."+p.suffix),
		'p': p.prefix, 'P': systemd.UnitNameUnescape(p.prefix),
		'i': p.instance, 'I': systemd.UnitNameUnescape(p.instance),
		'j': last, 'J': systemd.UnitNameUnescape(last),
		'H': u.node, 'l': short, 'q': u.node,
		't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", 'T': "/tmp", 'V': "/var/tmp",
		'u': "root", 'U': "0", 'g': "root", 'G': "0", 'h': "/root", 's': "/bin/sh",
		'y': u.Path, 'Y': path.Dir(u.Path),
	}
	if letter == 'f' {
		if p.instance != "" {
			return systemd.UnitNamePathUnescape(p.instance), nil
		}
		return "/" + systemd.UnitNameUnescape(p.prefix), nil
	}
	text, ok := fixed[letter]
	if !ok {
		return "", fmt.Errorf("the specifier %%%c is not supported", letter)
	}
	return text, nil
}
