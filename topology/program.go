package topology

// Program is a program of ours that nodes see as their own: a re-execution of
// the binary that runs the lab, told apart by the name it is called by.
type Program struct {
	Name string // what argv[0] ends in
	Path string // where nodes see it, absolute
	// Units are unit files that come with the program, by name. They stand in
	// /usr/lib/systemd/system; a site enables them as it would a package's.
	Units map[string][]byte
	Main  func() int // gets os.Args as the caller gave them; returns the exit code
}
