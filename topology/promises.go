package topology

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// anyone is every node on the line's network; without one, every node.
const anyone = "anyone"

func (l *loader) promises() {
	e, p := l.doc.Promises, &l.site.Promises
	for _, r := range e.Reach.Rows {
		p.Reach = append(p.Reach, l.reach(r)...)
	}
	p.Silent = l.nodeList(e.Silent)
	for _, r := range e.Limits.Rows {
		l.limit(r)
	}
	for _, r := range e.Logins.Rows {
		l.login(r)
	}
	for _, r := range e.Leaves.Rows {
		l.leave(r)
	}
	for _, w := range e.Persist.List {
		if l.nodeKnown(w, w.Text, 0) {
			p.Persist = append(p.Persist, Persist{Node: w.Text, At: w.At})
		}
	}
	p.Undecided = e.undecided()
}

func (l *loader) nodeList(ws words) []string {
	var names []string
	for _, w := range ws.List {
		if l.nodeKnown(w, w.Text, 0) {
			if slices.Contains(names, w.Text) {
				l.problem(w.At, w.Path, "%s is named twice", w.Text)
			}
			names = append(names, w.Text)
		}
	}
	return names
}

// inWord moves to the offset within a word, where columns can be counted.
func inWord(w word, offset int) Position {
	at := w.At
	if w.plain && !strings.Contains(w.Text, "\n") {
		at.Column += offset
	}
	return at
}

func (l *loader) nodeKnown(w word, name string, offset int) bool {
	_, ok := l.site.Machine(name)
	if !ok {
		l.problem(inWord(w, offset), w.Path, "node %q is not defined%s", short(name), wayOut(name, l.nodeNames()))
	}
	return ok
}

func (l *loader) networkKnown(w word, name string, offset int) bool {
	_, ok := l.site.Network(name)
	if !ok {
		l.problem(inWord(w, offset), w.Path, "network %q is not defined%s", short(name), wayOut(name, l.networkNames()))
	}
	return ok
}

func (l *loader) serviceKnown(w word, name string, offset int) bool {
	_, ok := l.site.Service(name)
	if !ok {
		l.problem(inWord(w, offset), w.Path, "service %q is not defined%s", short(name), wayOut(name, l.serviceNames()))
	}
	return ok
}

// reachText is FROM[, FROM…] -> TO[, TO…] [over NETWORK].
var reachText = regexp.MustCompile(`^\s*(\S.*?)\s+->\s+(\S.*?)(?:\s+over\s+(\S+))?\s*$`)

// end of a line: a name and where in the line it stands.
type name struct {
	text   string
	offset int
}

func names(text string, from, to int) []name {
	var all []name
	for from <= to {
		comma := strings.IndexByte(text[from:to], ',')
		if comma < 0 {
			comma = to - from
		}
		part := text[from : from+comma]
		lead := len(part) - len(strings.TrimLeft(part, " \t"))
		all = append(all, name{strings.TrimSpace(part), from + lead})
		from += comma + 1
	}
	return all
}

// reach parses and expands a line. A line whose targets are networks becomes
// one promise for each of them.
func (l *loader) reach(r row[words]) []Reach {
	w := r.Key
	w.Path = strings.TrimSuffix(w.Path, "."+short(w.Text))
	m := reachText.FindStringSubmatchIndex(w.Text)
	if m == nil {
		l.problem(w.At, w.Path, "%q is not FROM -> TO or FROM -> TO over NETWORK", short(w.Text))
		return nil
	}
	services := l.reachServices(r.Value)
	over := ""
	if m[6] >= 0 {
		over = w.Text[m[6]:m[7]]
		if !l.networkKnown(w, over, m[6]) {
			return nil
		}
	}
	froms, tos := names(w.Text, m[2], m[3]), names(w.Text, m[4], m[5])
	if !l.endsKnown(w, froms) || !l.endsKnown(w, tos) || len(services) == 0 {
		return nil
	}
	var all []Reach
	for _, part := range l.byNetwork(tos, over) {
		line := Reach{Text: w.Text + ": " + flowStyle(r.Value), Over: part.over, Services: services, At: w.At}
		line.From = l.expand(froms, part.over)
		line.To = l.targets(w, part.names, part.over)
		if len(line.From) == 0 {
			l.problem(inWord(w, m[2]), w.Path, "nobody is on %s", w.Text[m[2]:m[3]])
		}
		if len(line.From) == 1 && len(line.To) == 1 && line.From[0] == line.To[0] {
			l.problem(w.At, w.Path, "%s reaches itself without a network; name two nodes", line.From[0])
		}
		all = append(all, line)
	}
	return all
}

// flowStyle writes a value back on one line.
func flowStyle(ws words) string {
	var texts []string
	for _, w := range ws.List {
		texts = append(texts, w.Text)
	}
	text := strings.Join(texts, ", ")
	if ws.alone {
		return text
	}
	return "[" + text + "]"
}

func (l *loader) reachServices(ws words) []string {
	var services []string
	for _, w := range ws.List {
		w.Path = ws.Path
		switch {
		case w.Text == "any":
			services = append(services, l.serviceNames()...)
		case l.serviceKnown(w, w.Text, 0):
			services = append(services, w.Text)
		}
	}
	sorted := slices.Clone(services)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) < len(services) {
		l.problem(ws.At, ws.Path, "names a service twice")
	}
	return services
}

func (l *loader) endsKnown(w word, ends []name) bool {
	good := true
	for _, e := range ends {
		_, node := l.site.Machine(e.text)
		_, network := l.site.Network(e.text)
		if e.text == anyone || node || network {
			continue
		}
		good = false
		if e.text == "" {
			l.problem(inWord(w, e.offset), w.Path, "a name is missing at a comma")
			continue
		}
		known := append(append(l.nodeNames(), l.networkNames()...), anyone)
		l.problem(inWord(w, e.offset), w.Path, "%q is no node and no network%s", short(e.text), wayOut(e.text, known))
	}
	return good
}

type overNetwork struct {
	over  string
	names []name
}

// byNetwork sorts targets by the network of their address: without an over, a
// network as target implies itself.
func (l *loader) byNetwork(tos []name, over string) []overNetwork {
	var parts []overNetwork
	for _, to := range tos {
		via := over
		if _, network := l.site.Network(to.text); network && over == "" {
			via = to.text
		}
		i := slices.IndexFunc(parts, func(p overNetwork) bool { return p.over == via })
		if i < 0 {
			parts = append(parts, overNetwork{over: via})
			i = len(parts) - 1
		}
		parts[i].names = append(parts[i].names, to)
	}
	return parts
}

// expand turns names into nodes, in the site's order.
func (l *loader) expand(ends []name, over string) []string {
	var nodes []string
	for _, m := range l.site.Nodes {
		if slices.ContainsFunc(ends, func(e name) bool { return l.means(e.text, over, m) }) {
			nodes = append(nodes, m.Name)
		}
	}
	return nodes
}

// means says whether a name in a promise includes the node.
func (l *loader) means(name, over string, m *Machine) bool {
	if name == anyone {
		return over == "" || m.on(over)
	}
	return name == m.Name || m.on(name)
}

// targets expands and leaves out who cannot be a target over the network. A
// node that is named must be one.
func (l *loader) targets(w word, tos []name, over string) []string {
	nodes := l.expand(tos, over)
	if over == "" {
		return nodes
	}
	for _, to := range tos {
		if m, ok := l.site.Machine(to.text); ok && len(m.Addresses(over)) == 0 {
			l.problem(inWord(w, to.offset), w.Path, "%s has no address on %q, so it cannot be reached there%s", to.text, over, l.whereIs(m))
		}
	}
	nodes = slices.DeleteFunc(nodes, func(n string) bool {
		m, _ := l.site.Machine(n)
		return len(m.Addresses(over)) == 0
	})
	if len(nodes) == 0 && !slices.ContainsFunc(tos, func(to name) bool { _, ok := l.site.Machine(to.text); return ok }) {
		l.problem(inWord(w, tos[0].offset), w.Path, "nobody has an address on %q", over)
	}
	return nodes
}

func (l *loader) whereIs(m *Machine) string {
	var on []string
	for _, a := range m.On {
		if len(a.Addresses) > 0 {
			on = append(on, a.Network)
		}
	}
	if len(on) == 0 {
		return ""
	}
	return "; it is on " + strings.Join(on, " and ")
}

// atText is "ssh at vps".
var atText = regexp.MustCompile(`^(\S+)\s+at\s+(\S+)$`)

// subject parses the key of a line such as "ssh at vps: …" and its one value.
func (l *loader) subject(r row[words], example string) (what, node string, value word, ok bool) {
	m := atText.FindStringSubmatchIndex(r.Key.Text)
	if m == nil {
		l.problem(r.Key.At, r.Key.Path, "is no line such as `%s`", example)
		return "", "", word{}, false
	}
	what, node = r.Key.Text[m[2]:m[3]], r.Key.Text[m[4]:m[5]]
	ok = l.nodeKnown(r.Key, node, m[4])
	if len(r.Value.List) != 1 {
		if r.Value.given() && len(r.Value.List) > 1 {
			l.problem(r.Value.At, r.Value.Path, "takes one value, as in `%s`", example)
		}
		return what, node, word{}, false
	}
	return what, node, r.Value.List[0], ok
}

// limitText is "4 per 60s".
var limitText = regexp.MustCompile(`^([1-9][0-9]{0,5})\s+per\s+(.+)$`)

func (l *loader) limit(r row[words]) {
	const example = "ssh at vps: 4 per 60s"
	service, node, value, ok := l.subject(r, example)
	if !ok || !l.serviceKnown(r.Key, service, 0) {
		return
	}
	m := limitText.FindStringSubmatch(value.Text)
	if m == nil {
		l.problem(value.At, value.Path, "%q is no limit, as in `%s`", short(value.Text), example)
		return
	}
	within, err := parseDuration(m[2])
	if err != nil || within <= 0 {
		l.problem(value.At, value.Path, "%q is no length of time such as 60s or 5m", short(m[2]))
		return
	}
	passes, _ := strconv.Atoi(m[1]) // the pattern let only digits pass
	l.site.Promises.Limits = append(l.site.Promises.Limits,
		Limit{Text: lineText(r.Key, value), Node: node, Service: service, Passes: passes, Within: within, At: r.Key.At})
}

func (l *loader) login(r row[words]) {
	user, node, value, ok := l.subject(r, "root at vps: keys only")
	if !ok {
		return
	}
	if value.Text != "keys only" {
		l.problem(value.At, value.Path, "%q is not known; known: keys only", short(value.Text))
		return
	}
	l.site.Promises.Logins = append(l.site.Promises.Logins, Login{Text: lineText(r.Key, value), User: user, Node: node, At: r.Key.At})
}

func (l *loader) leave(r row[words]) {
	program, node, value, ok := l.subject(r, "zabbix-agent at vps: wg0")
	if !ok || !l.networkKnown(value, value.Text, 0) {
		return
	}
	l.site.Promises.Leaves = append(l.site.Promises.Leaves,
		Leave{Text: lineText(r.Key, value), Program: program, Node: node, Over: value.Text, At: r.Key.At})
}

func lineText(key, value word) string { return fmt.Sprintf("%s: %s", key.Text, value.Text) }
