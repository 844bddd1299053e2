package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is site.yaml as it is written. The loader and the JSON schema both
// read these structs, so neither can know a key that the other does not.
type document struct {
	place
	Site     word                `json:"site" jsonschema:"required" jsonschema_description:"The site's name: lower-case letters, digits and dashes."`
	About    word                `json:"about" jsonschema_description:"One paragraph for people: what this site is."`
	Driver   word                `json:"driver" jsonschema:"enum=netns" jsonschema_description:"What turns the site into a lab. Default: netns."`
	RootFS   word                `json:"rootfs" jsonschema_description:"Another root file system for the nodes: a folder or a tarball, relative to the site's folder."`
	Networks table[networkEntry] `json:"networks" jsonschema:"required" jsonschema_description:"The cables, by name. Tunnels are not listed: they come from the nodes' WireGuard files."`
	Services table[word]         `json:"services" jsonschema_description:"Services of the site's own, by name: tcp/80, udp/514. They are added to the built-in ones (ssh, pbs, wireguard, ping, dns, http, https, zabbix, zabbix-agent, pve, nfs)."`
	Nodes    table[nodeEntry]    `json:"nodes" jsonschema:"required" jsonschema_description:"The nodes, by host name. The files of each are in nodes/<name>/."`
	Promises promisesEntry       `json:"promises" jsonschema_description:"What the site claims."`
	Waivers  []waiverEntry       `json:"waivers" jsonschema_description:"Findings that are accepted, each named exactly, with a reason and a date."`
}

type networkEntry struct {
	place
	IPv4      word `json:"ipv4" jsonschema_description:"The IPv4 prefix, such as 192.168.100.0/24. 0.0.0.0/0 is the internet."`
	IPv6      word `json:"ipv6" jsonschema_description:"The IPv6 prefix, such as fd00:100::/64. 2000::/3 is the internet."`
	RoundTrip word `json:"round-trip" jsonschema_description:"How long a packet takes there and back, such as 97ms."`
}

type nodeEntry struct {
	place
	Role   word         `json:"role" jsonschema:"required,enum=hypervisor,enum=backup-server,enum=router,enum=client,enum=server" jsonschema_description:"What the node is to the design."`
	On     table[words] `json:"on" jsonschema:"required" jsonschema_description:"The networks that the node is on, and its address or addresses there. Interfaces are eth0, eth1, … in this order."`
	NAT    *natEntry    `json:"nat" jsonschema_description:"Routers only: masquerade what leaves by the outer network, and let nothing in from there."`
	Mounts table[word]  `json:"mounts" jsonschema_description:"Mount points, each with the node that serves it."`
	Guests table[word]  `json:"guests" jsonschema_description:"The guests of a hypervisor by id, each with its size, such as 2GiB."`
	Modes  table[word]  `json:"modes" jsonschema_description:"Modes and owners of files of this node where the defaults are not right, such as \"0640 root:backup\"."`
}

type natEntry struct {
	place
	UDPTimeout word `json:"udp-timeout" jsonschema_description:"After how long an idle UDP flow is forgotten, such as 30s."`
}

type promisesEntry struct {
	place
	Reach   lines `json:"reach" jsonschema_description:"All that is open; everything else must be closed. Each line is FROM[, FROM…] -> TO[, TO…] [over NETWORK], with a service, a list of them, or any. FROM and TO are nodes, networks, or anyone."`
	Silent  words `json:"silent" jsonschema_description:"Nodes at which closed means dropped, not refused."`
	Limits  lines `json:"limits" jsonschema_description:"How many new connections of one address pass: 'ssh at vps' with '4 per 60s'."`
	Logins  lines `json:"logins" jsonschema_description:"How one may log in: 'root at vps' with 'keys only'."`
	Leaves  lines `json:"leaves" jsonschema_description:"By which network a program's configured peer is reached: 'zabbix-agent at vps' with 'wg0'."`
	Persist words `json:"persist" jsonschema_description:"Nodes whose loaded rules are the saved ones."`

	Tunnel   anything `json:"tunnel" jsonschema_description:"Judged by a later release."`
	Local    anything `json:"local" jsonschema_description:"Judged by a later release."`
	Offsite  anything `json:"offsite" jsonschema_description:"Judged by a later release."`
	Survives anything `json:"survives" jsonschema_description:"Judged by a later release."`
	Restore  anything `json:"restore" jsonschema_description:"Judged by a later release."`
	Heard    anything `json:"heard" jsonschema_description:"Judged by a later release."`
}

// undecided lists the promises that this release accepts without judging them.
func (p promisesEntry) undecided() []Undecided {
	var list []Undecided
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		key := fieldName(v.Type().Field(i))
		if key == "" {
			continue
		}
		if a, ok := v.Field(i).Interface().(anything); ok && a.given() {
			list = append(list, Undecided{Name: key, At: a.At})
		}
	}
	return list
}

type waiverEntry struct {
	place
	Promise word  `json:"promise" jsonschema:"required" jsonschema_description:"The promise that the finding is about, such as reach."`
	Flow    words `json:"flow" jsonschema:"required" jsonschema_description:"The flow, or a list of flows, exactly as the finding prints it."`
	Seen    word  `json:"seen" jsonschema:"required" jsonschema_description:"What was seen, exactly as the finding prints it."`
	Cause   word  `json:"cause" jsonschema:"required" jsonschema_description:"The cause, exactly as the finding prints it."`
	Because word  `json:"because" jsonschema:"required" jsonschema_description:"Why it is accepted."`
	Until   word  `json:"until" jsonschema:"required" jsonschema_description:"The last day on which it is accepted, such as 2027-06-30."`
}

// yamlLine finds the line in a message of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parserMessage: what the parser proper says. It counts lines from 0, while the
// scanner below it counts from 1 (go.yaml.in/yaml/v3 v3.0.6, decode.go, fail).
var parserMessage = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key|',' or)|found undefined tag handle|found duplicate %)`)

// parseDocument reads site.yaml. Whatever is wrong with it is in the problems;
// the document then holds the rest.
func parseDocument(file string, content []byte) (document, Problems) {
	var doc document
	d := &decoder{file: file}
	parser := yaml.NewDecoder(bytes.NewReader(content))
	var root yaml.Node
	if err := parser.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return doc, Problems{{Position: Position{File: file}, Text: "is empty; a site needs at least site, networks and nodes"}}
		}
		return doc, Problems{syntax(file, err)}
	}
	var second yaml.Node
	if err := parser.Decode(&second); err == nil {
		d.problem(&second, "", "a second document begins here; a site is one document")
	} else if !errors.Is(err, io.EOF) {
		return doc, Problems{syntax(file, err)}
	}
	d.value("", root.Content[0], reflect.ValueOf(&doc).Elem())
	return doc, d.problems
}

func syntax(file string, err error) Problem {
	p := Problem{Position: Position{File: file}, Text: fmt.Sprintf("is not YAML: %v", err)}
	if m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " ")); m != nil {
		p.Position.Line, _ = strconv.Atoi(m[1])
		if parserMessage.MatchString(m[2]) {
			p.Position.Line++
		}
		p.Text = "is not YAML: " + m[2]
	}
	return p
}
