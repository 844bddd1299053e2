package doctor

// State is how well the machine does in one respect.
type State string

// The states. Weaker is a lab that runs and proves less; Missing is no lab.
const (
	OK      State = "ok"
	Weaker  State = "weaker"
	Missing State = "missing"
)

// Line is one thing that a lab needs or is better with.
type Line struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Saw     string `json:"saw"`               // what was found
	Weakens string `json:"weakens,omitempty"` // what cannot be had without it
	Mend    string `json:"mend,omitempty"`    // a command, or one sentence where no command does it
}

// Report is what the machine can do.
type Report struct {
	Lines  []Line `json:"lines"`
	CanRun bool   `json:"canRun"` // a lab can run here
}

func (r *Report) add(l Line) {
	r.Lines = append(r.Lines, l)
	if l.State == Missing {
		r.CanRun = false
	}
}

// Line is the line of that name.
func (r Report) Line(name string) (Line, bool) {
	for _, l := range r.Lines {
		if l.Name == name {
			return l, true
		}
	}
	return Line{}, false
}
