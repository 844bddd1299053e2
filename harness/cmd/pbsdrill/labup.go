package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pbsdrill/pbsdrill/harness/holder"
	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

// holderName is the name under which this binary keeps a lab.
const holderName = "pbsdrill-holder"

// news is what a holder tells the command that started it, a line each.
type news struct {
	Progress string   `json:"progress,omitempty"`
	Error    string   `json:"error,omitempty"`
	Ready    bool     `json:"ready,omitempty"`
	Trouble  []string `json:"trouble,omitempty"` // units that failed
}

// hold brings a site up and keeps it. Descriptor 3 takes the news until the
// lab is up; when its reader has gone before that, nobody wants the lab.
//
//	argv: pbsdrill-holder SITE ID
func hold(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	pipe := os.NewFile(3, "news")
	tell := func(n news) error { return json.NewEncoder(pipe).Encode(n) }
	if err := holdLab(ctx, args[0], args[1], tell, pipe.Close); err != nil {
		_ = tell(news{Error: err.Error()})
		return int(CouldNotTest)
	}
	return 0
}

func holdLab(ctx context.Context, dir, id string, tell func(news) error, told func() error) error {
	site, err := topology.Load(dir)
	if err != nil {
		return err
	}
	mark := "lab-" + id
	within, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	lab, err := netns.Up(within, site, netns.Options{Mark: mark, Progress: func(line string) { _ = tell(news{Progress: line}) }})
	if err != nil {
		return err
	}
	h, err := holder.Default().Hold(lab, id, mark)
	if err != nil {
		return errors.Join(err, lab.Down(context.WithoutCancel(ctx)))
	}
	serving, giveUp := context.WithCancel(ctx)
	defer giveUp()
	if tell(news{Ready: true, Trouble: troubled(ctx, lab)}) != nil {
		giveUp()
	}
	_ = told()
	return h.Serve(serving)
}

func (a *app) labUpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up SITE",
		Short: "Bring a site up and keep it until `lab down`",
		Long: `Brings the site up under a background process and prints the lab's id. The lab
ends with "pbsdrill lab down", or when that process ends, however it does.`,
		Example: `  pbsdrill lab up fixtures/sites/homelab-vps
  pbsdrill lab shell vps`,
		Args: named("SITE"),
		RunE: func(c *cobra.Command, args []string) error { return a.labUp(c.Context(), args[0]) },
	}
}

func (a *app) labUp(ctx context.Context, dir string) error {
	site, err := load(dir)
	if err != nil {
		return err
	}
	if _, err := a.makeRoot(ctx, site); err != nil {
		return failure{CouldNotTest, err}
	}
	id := make([]byte, 3)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	name := hex.EncodeToString(id)
	trouble, err := a.startHolder(ctx, site, name)
	if err != nil {
		return err
	}
	for _, line := range trouble {
		fmt.Fprintln(a.err, line)
	}
	result := struct {
		ID    string   `json:"id"`
		Site  string   `json:"site"`
		Nodes []string `json:"nodes"`
	}{name, site.Name, nodeNames(site)}
	return a.print(result, func() {
		fmt.Fprintf(a.out, "%s  %s  up: %s\n", name, site.Name, strings.Join(result.Nodes, ", "))
		fmt.Fprintf(a.err, "enter it: pbsdrill lab shell NODE   end it: pbsdrill lab down %s\n", name)
	})
}

// startHolder starts the background process and waits until the lab is up.
func (a *app) startHolder(ctx context.Context, site *topology.Site, id string) ([]string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	c := exec.Command("/proc/self/exe")
	c.Args = []string{holderName, site.Dir, id}
	c.ExtraFiles = []*os.File{w}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C here is not for it
	c.Dir = "/"
	err = c.Start()
	_ = w.Close()
	if err != nil {
		return nil, fail(CouldNotTest, "start the lab's holder: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(syscall.SIGTERM) })
	defer stop()
	p := a.progress("bringing "+site.Name+" up", upLimit)
	defer p.end()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var n news
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			continue
		}
		switch {
		case n.Ready:
			return n.Trouble, nil
		case n.Error != "":
			_ = c.Wait()
			return nil, fail(CouldNotTest, "%s", n.Error)
		}
		p.say(n.Progress)
	}
	err = c.Wait()
	return nil, fail(CouldNotTest, "the lab's holder ended before the lab was up: %w", errors.Join(err, lines.Err()))
}
