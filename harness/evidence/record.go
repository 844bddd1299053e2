package evidence

import (
	"fmt"
	"time"

	"github.com/pbsdrill/pbsdrill/topology"
)

// Version is the version of report.json's layout.
const Version = 1

// Run is the head of a run.
type Run struct {
	Version     int            `json:"version"`
	ID          string         `json:"id"` // 2026-11-22T01-30-12-homelab-vps
	Site        string         `json:"site"`
	SiteDir     string         `json:"siteDir"`
	SiteHash    string         `json:"siteHash"` // of site.yaml and every file of the nodes
	About       string         `json:"about,omitempty"`
	Seed        uint64         `json:"seed"`
	Repeat      string         `json:"repeat"` // the command line that repeats the run
	Started     time.Time      `json:"started"`
	Ended       time.Time      `json:"ended,omitzero"`
	Interrupted bool           `json:"interrupted,omitempty"`
	Planned     int            `json:"planned"`             // specs that were to run
	PlannedBy   map[string]int `json:"plannedBy,omitempty"` // the same by suite
	Minimum     map[string]int `json:"minimum"`             // suite → flows it must have judged
	Facts       topology.Facts `json:"facts"`
	Undecided   []string       `json:"undecided,omitempty"` // promises that this release cannot judge
	Waivers     []Waiver       `json:"waivers,omitempty"`   // the site's, as they were
	Filter      string         `json:"filter,omitempty"`    // what was asked for, where it is not everything
	Trouble     []string       `json:"trouble,omitempty"`   // what kept a suite as a whole from testing
}

// Waiver is a waiver of the site, kept with the run so that the run explains
// itself when the site has changed.
type Waiver struct {
	Promise string            `json:"promise"`
	Flows   []string          `json:"flows"` // each as a finding prints it
	Seen    string            `json:"seen"`
	Cause   string            `json:"cause"`
	Because string            `json:"because"`
	Until   time.Time         `json:"until"` // midnight UTC of the last day
	At      topology.Position `json:"at"`
}

// Waivers are the waivers of a site as a run keeps them.
func Waivers(site *topology.Site) []Waiver {
	ws := make([]Waiver, 0, len(site.Waivers))
	for _, w := range site.Waivers {
		ws = append(ws, Waiver(w))
	}
	return ws
}

// State is how a spec ended.
type State string

// The states. CouldNotTest is never a pass.
const (
	Held         State = "held"
	Failed       State = "failed"
	Waived       State = "waived" // every finding is waived
	CouldNotTest State = "could not test"
	Skipped      State = "skipped" // asked to: filter, or an ability that the driver lacks
	Interrupted  State = "interrupted"
)

// FilteredOut is the reason of a spec that was skipped because nobody asked
// for it. Such specs are counted, and were never planned.
const FilteredOut = "not asked for: left out by the filter"

// Spec is the record of one spec.
type Spec struct {
	Suite    string        `json:"suite"` // firewall
	Number   int           `json:"number"`
	Name     string        `json:"name"`
	Promise  string        `json:"promise,omitempty"`
	Labels   []string      `json:"labels"`
	State    State         `json:"state"`
	Reason   string        `json:"reason,omitempty"`   // why it failed, was skipped or could not test
	Judged   int           `json:"judged"`             // flows judged
	Subjects []string      `json:"subjects,omitempty"` // what was judged and is no flow, such as "ssh at vps"
	Findings []Finding     `json:"findings,omitempty"`
	Rows     []Row         `json:"rows,omitempty"` // cells of the matrix
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took"`
	Folder   string        `json:"folder,omitempty"` // relative to the run's folder
}

// Row is one judged flow, as the report's matrix shows it.
type Row struct {
	Promise  string `json:"promise,omitempty"` // the spec's where it is empty
	From     string `json:"from"`
	To       string `json:"to"`
	Over     string `json:"over"`
	Family   string `json:"family"`
	Address  string `json:"address"`
	Service  string `json:"service"`
	Want     string `json:"want"`
	Saw      string `json:"saw"`
	Why      string `json:"why"`
	Rule     string `json:"rule,omitempty"` // vps:/etc/iptables/rules.v4:12
	RuleText string `json:"ruleText,omitempty"`
	Met      bool   `json:"met"`
	Waived   bool   `json:"waived,omitempty"`
}

// Flow is the row's flow as findings and waivers write it.
func (r Row) Flow() string {
	return fmt.Sprintf("%s -> %s over %s %s %s", r.From, r.To, r.Over, r.Service, r.Family)
}

// Finding is a promise that did not hold, with what causes it and a way out.
type Finding struct {
	Promise  string             `json:"promise"`           // reach, silent, limits, logins, leaves, persist, …
	Title    string             `json:"title"`             // only ssh, wireguard and ping reach vps from outside
	Flow     string             `json:"flow"`              // or the subject, where it is no flow
	Address  string             `json:"address,omitempty"` // [2001:db8:20::1]:8007
	Expected string             `json:"expected"`
	Seen     string             `json:"seen"`
	Detail   string             `json:"detail,omitempty"` // what answered, what arrived
	Cause    string             `json:"cause"`            // no IPv6 filter exists: vps:/etc/iptables/rules.v6 is empty
	Change   string             `json:"change,omitempty"`
	Node     string             `json:"node,omitempty"`     // where to look: pbsdrill lab shell NODE
	Evidence string             `json:"evidence,omitempty"` // folder, relative to the run's
	At       topology.Position  `json:"at"`                 // the promise in site.yaml
	Waiver   *topology.Position `json:"waiver,omitempty"`   // set when a waiver covers it
}
