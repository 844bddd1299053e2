package topology

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place is where a value of the document stands.
type place struct {
	At   Position `json:"-"`
	Path string   `json:"-"`
}

func (p *place) stand(at Position, path string) { p.At, p.Path = at, path }

// given says whether the document has the value at all.
func (p place) given() bool { return p.At.Line > 0 }

// word is one scalar, kept as written: 2:30 and 0x10 mean what they look like.
type word struct {
	place
	Text  string
	plain bool // not quoted and not a block, so columns within it can be counted
}

// words is one word or a list of them.
type words struct {
	place
	List  []word
	alone bool // written without brackets
}

// table is a mapping whose keys the site chooses, in the file's order.
type table[T any] struct {
	place
	Rows []row[T]
}

type row[T any] struct {
	Key   word
	Value T
}

// lines is a list of mappings with one key each, which is how "a -> b: [c]"
// reads in YAML. A plain mapping will do as well.
type lines struct {
	place
	Rows []row[words]
}

// anything is content that this release does not look into.
type anything struct {
	place
}

// maxNodes bounds what aliases can blow a document up to. A site of a thousand
// nodes has some ten thousand.
const maxNodes = 100_000

// decoder turns YAML into the document's structs. It goes on after a problem,
// so that all of them are found at once.
type decoder struct {
	file     string
	nodes    int
	problems Problems
}

// selfDecoder is a value with a form of its own.
type selfDecoder interface {
	decode(d *decoder, path string, n *yaml.Node)
}

func (d *decoder) at(n *yaml.Node) Position {
	return Position{File: d.file, Line: n.Line, Column: n.Column}
}

func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Position: d.at(n), Path: path, Text: fmt.Sprintf(format, args...)})
}

// enter counts a node, resolves aliases and says whether to go on. An alias
// inside its own anchor needs no care: the structs end the recursion.
func (d *decoder) enter(n *yaml.Node) (*yaml.Node, bool) {
	d.nodes++
	if d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.problem(n, "", "the document has more than %d values with its aliases written out; write it without them", maxNodes)
		}
		return nil, false
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, true
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	n, ok := d.enter(n)
	if !ok {
		return
	}
	if own, is := v.Addr().Interface().(selfDecoder); is {
		own.decode(d, path, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, n, v.Elem())
	case reflect.Slice:
		d.list(path, n, v)
	case reflect.Struct:
		d.object(path, n, v)
	default:
		d.problem(n, path, "cannot be read into %s", v.Type())
	}
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, "must be a list, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(fmt.Sprintf("%s[%d]", path, i), item, entry)
		v.Set(reflect.Append(v, entry))
	}
}

func (d *decoder) object(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "must be a mapping, not %s", kindOf(n))
		return
	}
	v.Addr().Interface().(interface{ stand(Position, string) }).stand(d.at(n), path)
	known, required := fields(v.Type())
	var keys []string
	for i := range v.NumField() {
		if name := fieldName(v.Type().Field(i)); name != "" {
			keys = append(keys, name)
		}
	}
	for key, value := range d.pairs(path, n) {
		i, ok := known[key.Value]
		if !ok {
			d.problem(key, under(path, key.Value), "unknown key%s", wayOut(key.Value, keys))
			continue
		}
		delete(required, key.Value)
		d.value(under(path, key.Value), value, v.Field(i))
	}
	for _, key := range keys {
		if required[key] {
			d.problem(n, path, "%s is missing", key)
		}
	}
}

// pairs goes through a mapping; keys that are no words, or given twice, are
// problems and left out.
func (d *decoder) pairs(path string, n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			switch line, again := first[key.Value]; {
			case key.Kind != yaml.ScalarNode:
				d.problem(key, path, "a key must be a word, not %s", kindOf(key))
			case again:
				d.problem(key, under(path, key.Value), "given twice, first in line %d; keep one of them", line)
			default:
				first[key.Value] = key.Line
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// fields maps the keys of a document's struct to its fields, and says which of
// them must be there. The tags are those that the JSON schema is made from.
func fields(t reflect.Type) (known map[string]int, required map[string]bool) {
	known, required = map[string]int{}, map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := fieldName(f)
		if name == "" {
			continue
		}
		known[name] = i
		for tag := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			if tag == "required" {
				required[name] = true
			}
		}
	}
	return known, required
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if f.Anonymous || name == "-" {
		return ""
	}
	return name
}

func (w *word) decode(d *decoder, path string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.problem(n, path, "must be one word or text, not %s", kindOf(n))
		return
	}
	w.stand(d.at(n), path)
	w.Text, w.plain = n.Value, n.Style == 0
}

func (ws *words) decode(d *decoder, path string, n *yaml.Node) {
	ws.stand(d.at(n), path)
	if n.Kind != yaml.SequenceNode {
		ws.alone = true
		ws.add(d, path, n)
		return
	}
	if len(n.Content) == 0 {
		d.problem(n, path, "the list is empty; name something or leave the key out")
	}
	for i, item := range n.Content {
		if item, ok := d.enter(item); ok {
			ws.add(d, fmt.Sprintf("%s[%d]", path, i), item)
		}
	}
}

func (ws *words) add(d *decoder, path string, n *yaml.Node) {
	var w word
	if w.decode(d, path, n); w.given() {
		ws.List = append(ws.List, w)
	}
}

func (t *table[T]) decode(d *decoder, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "must be a mapping, not %s", kindOf(n))
		return
	}
	t.stand(d.at(n), path)
	t.Rows = rows[T](d, path, n)
}

func rows[T any](d *decoder, path string, n *yaml.Node) []row[T] {
	var all []row[T]
	for key, value := range d.pairs(path, n) {
		var r row[T]
		if r.Key.decode(d, under(path, key.Value), key); !r.Key.given() {
			continue
		}
		d.value(under(path, key.Value), value, reflect.ValueOf(&r.Value).Elem())
		all = append(all, r)
	}
	return all
}

func (ls *lines) decode(d *decoder, path string, n *yaml.Node) {
	ls.stand(d.at(n), path)
	if n.Kind == yaml.MappingNode {
		ls.Rows = rows[words](d, path, n)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, "must be a list of lines such as `- a -> b: [ssh]`, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		item, ok := d.enter(item)
		if !ok {
			return
		}
		if item.Kind != yaml.MappingNode {
			d.problem(item, fmt.Sprintf("%s[%d]", path, i), "must be a line with a colon, such as `a -> b: [ssh]`, not %s", kindOf(item))
			continue
		}
		if len(item.Content) != 2 {
			d.problem(item, fmt.Sprintf("%s[%d]", path, i), "must be one line with one colon; begin the next with a dash of its own")
			continue
		}
		ls.Rows = append(ls.Rows, rows[words](d, fmt.Sprintf("%s[%d]", path, i), item)...)
	}
}

func (a *anything) decode(d *decoder, path string, n *yaml.Node) { a.stand(d.at(n), path) }

// JSONSchemaAlias makes the table a plain mapping in the JSON schema.
func (table[T]) JSONSchemaAlias() any { return map[string]T{} }

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return fmt.Sprintf("%q", short(n.Value))
	}
	return "this"
}

// short keeps messages to one line.
func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func under(path, key string) string {
	if path == "" {
		return short(key)
	}
	return path + "." + short(key)
}
