package doctor

// Trial is one real attempt.
type Trial struct {
	Tried bool   `json:"tried"`
	Error string `json:"error,omitempty"`
}

func (t Trial) worked() bool { return t.Tried && t.Error == "" }

// Trials is what happened when the doctor tried what a lab does, in namespaces
// of its own that ended with the trial.
type Trials struct {
	Namespaces Trial `json:"namespaces"` // user, mount, pid, net, uts and ipc at once
	Ids        Trial `json:"ids"`        // the range of sub-ids mapped into it
	Overlay    Trial `json:"overlay"`
	Proc       Trial `json:"proc"`
	Links      Trial `json:"links"` // a bridge and a veth pair
	Nft        Trial `json:"nft"`
	Tun        Trial `json:"tun"`
	WireGuard  Trial `json:"wireguard"`
	Netem      Trial `json:"netem"`
}

// Names of what a trial can leave out.
const (
	leaveLinks     = "links"
	leaveNft       = "nft"
	leaveTun       = "tun"
	leaveWireGuard = "wireguard"
	leaveNetem     = "netem"
)
