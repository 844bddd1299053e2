package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/holder"
	"github.com/pbsdrill/pbsdrill/harness/soak"
	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
	"github.com/pbsdrill/pbsdrill/topology/netns/rootfs"
)

// victimName is the name under which this binary brings a lab up to be killed.
const victimName = "pbsdrill-victim"

// victim brings a lab up and waits for its end. Descriptor 3 is told.
//
//	argv: pbsdrill-victim SITE MARK
func victim(args []string) int {
	dir, mark := args[0], args[1]
	pipe := os.NewFile(3, "said")
	site, err := topology.Load(dir)
	var lab *netns.Lab
	if err == nil {
		lab, err = netns.Up(context.Background(), site, netns.Options{Mark: mark})
	}
	if err != nil {
		fmt.Fprintln(pipe, err)
		return int(CouldNotTest)
	}
	fmt.Fprintln(pipe, "up")
	time.Sleep(time.Hour)  // until it is killed; without cgo, select {} alone is a deadlock to the runtime
	runtime.KeepAlive(lab) // a lab that nobody holds any more may be collected, and ends
	return 0
}

// defaultSite is what soak and bench use, relative to the clone.
const defaultSite = "fixtures/sites/homelab-vps"

func (a *app) soakCommand() *cobra.Command {
	var times int
	var seed uint64
	c := &cobra.Command{
		Use:   "soak [SITE]",
		Short: "Kill labs at random moments, and look for anything left behind",
		Long: `Brings the site up in a process that is killed (SIGKILL) at a random moment, and
looks for what is left: processes, namespaces, mounts, links, sockets, files.

Ends with 0 when nothing was ever left, else with 6.`,
		Example: `  pbsdrill soak --times=20
  pbsdrill soak --times=1000 --seed=4711 fixtures/sites/homelab-vps`,
		Hidden: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return named("SITE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("seed") {
				seed = uint64(rand.Uint32())
			}
			if times < 1 {
				return fail(Usage, "--times: %d kills show nothing", times)
			}
			return a.soak(c.Context(), args, times, seed)
		},
	}
	c.Flags().IntVar(&times, "times", 20, "how many labs to kill")
	c.Flags().Uint64Var(&seed, "seed", 0, "repeat the moments of that seed (default: new ones)")
	return c
}

// siteOr loads the site that was named, else the bundled one.
func siteOr(args []string) (*topology.Site, error) {
	if len(args) == 1 {
		return load(args[0])
	}
	m, err := findModule("")
	if err != nil {
		return nil, err
	}
	return load(filepath.Join(m.dir, defaultSite))
}

// soaked is what soak prints as JSON.
type soaked struct {
	Seed   uint64        `json:"seed"`
	Rounds int           `json:"rounds"`
	Up     int           `json:"up"` // labs that were up when they were killed
	UpTime time.Duration `json:"upTime"`
	Left   []soak.Round  `json:"left"` // rounds after which something was left
}

func (a *app) soak(ctx context.Context, args []string, times int, seed uint64) error {
	site, err := siteOr(args)
	if err != nil {
		return err
	}
	if _, err := a.makeRoot(ctx, site); err != nil { // else the first kills would hit its making
		return failure{CouldNotTest, err}
	}
	if err := soak.Adopt(); err != nil {
		return failure{CouldNotTest, err}
	}
	k := soak.Killer{Start: startVictim(site), Dirs: leftovers()}
	upTime, err := k.UpTime(ctx)
	if err != nil {
		return fail(CouldNotTest, "bring the lab up: %w", err)
	}
	result := soaked{Seed: seed, UpTime: upTime, Left: []soak.Round{}}
	p := a.progress("soak", 0)
	defer p.end()
	for i := range times {
		r, err := k.Round(ctx, moment(seed, i, upTime))
		if err != nil {
			return failure{CouldNotTest, err}
		}
		result.Rounds++
		if r.Up {
			result.Up++
		}
		if len(r.Left) > 0 {
			result.Left = append(result.Left, r)
			p.above(fmt.Sprintf("kill %d after %v left: %q", i+1, r.After.Round(time.Millisecond), r.Left))
		}
		p.say(fmt.Sprintf("%d/%d kills, %d left something", i+1, times, len(result.Left)))
	}
	p.end()
	err = a.print(result, func() {
		fmt.Fprintf(a.out, "%s, %d of them after the lab was up (it takes %v), seed %d: %d left something behind\n",
			counted(result.Rounds, "kill"), result.Up, upTime.Round(time.Millisecond), seed, len(result.Left))
	})
	if err == nil && len(result.Left) > 0 {
		return exit(HandsNeeded)
	}
	return err
}

// moment spreads the kills over the time that a lab takes to come up and a
// two thirds more, in which it is up. It is a function of the seed and the number.
func moment(seed uint64, i int, upTime time.Duration) time.Duration {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	return time.Duration(r.Int64N(int64(upTime) * 5 / 3))
}

func startVictim(site *topology.Site) soak.Start {
	n := 0
	return func(out *os.File) (*os.Process, error) {
		n++
		mark := "soak-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(n)
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		defer null.Close() //nolint:errcheck // the child has its own
		return os.StartProcess("/proc/self/exe", []string{victimName, site.Dir, mark}, &os.ProcAttr{
			Env: os.Environ(), Files: []*os.File{null, null, os.Stderr, out}, Sys: &syscall.SysProcAttr{Setpgid: true}})
	}
}

// leftovers are the folders in which a lab, or what it is made of, could leave
// files.
func leftovers() []string {
	dirs := []string{os.TempDir(), "/dev/shm", "/run", holder.Default().Dir}
	if cache, err := rootfs.DefaultCache(); err == nil {
		dirs = append(dirs, cache)
	}
	return dirs
}
