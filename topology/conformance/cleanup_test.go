package conformance_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pbsdrill/pbsdrill/topology"
	"github.com/pbsdrill/pbsdrill/topology/netns"
)

const holderName = "conformance-holder"

// This binary under another name brings a lab up and waits to be killed.
func init() {
	netns.Register(topology.Program{Name: holderName, Path: "/usr/local/bin/" + holderName, Main: hold})
}

func hold() int {
	site, err := topology.Load(os.Args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	lab, err := netns.Up(context.Background(), site, netns.Options{Mark: os.Args[2]})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("up", lab.PID())
	time.Sleep(time.Hour) // until it is killed; without cgo, select {} alone is a deadlock to the runtime
	runtime.KeepAlive(lab)
	return 0
}

var _ = Describe("a lab ends", func() {
	It("with everything in it when its owner is killed", func(ctx SpecContext) {
		site := house(nil)
		mark := fmt.Sprintf("killed-%d-%d", os.Getpid(), time.Now().UnixNano())
		owner := exec.Command("/proc/self/exe", site.Dir, mark)
		owner.Args[0] = holderName
		out, err := owner.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(owner.Start()).To(Succeed())
		line, err := bufio.NewReader(out).ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		Expect(line).To(HavePrefix("up "))
		Expect(labProcesses(mark)).To(HaveLen(1 + len(site.Nodes)))
		Expect(owner.Process.Kill()).To(Succeed())
		_ = owner.Wait()
		Eventually(ctx, func() []string { return labProcesses(mark) }).Should(BeEmpty())
	}, SpecTimeout(time.Minute))

	It("at once, and twice is as good as once", func(ctx SpecContext) {
		lab := raise(ctx, house(nil))
		pid := lab.PID()
		Expect(lab.Down(ctx)).To(Succeed())
		Expect(filepath.Join("/proc", fmt.Sprint(pid))).NotTo(BeADirectory())
		Expect(lab.Down(ctx)).To(Succeed())
		_, err := on(lab, "a").Run(ctx, topology.Command{Argv: []string{"true"}})
		Expect(err).To(HaveOccurred())
	}, SpecTimeout(time.Minute))
})

// labProcesses are the command lines of the supervisor that carries the mark
// and of the processes below it.
func labProcesses(mark string) []string {
	GinkgoHelper()
	parents, commands := map[string]string{}, map[string]string{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	Expect(err).NotTo(HaveOccurred())
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		line, _ := os.ReadFile(dir + "/cmdline")
		parents[filepath.Base(dir)], commands[filepath.Base(dir)] = fields[1], strings.ReplaceAll(string(line), "\x00", " ")
	}
	var found []string
	for pid, command := range commands {
		for p := pid; p != "" && p != "0"; p = parents[p] {
			if strings.HasPrefix(commands[p], "pbsdrill-lab ") && strings.Contains(commands[p], mark) {
				found = append(found, command)
				break
			}
		}
	}
	return found
}

// soon bounds one attempt that is expected to lead nowhere.
func soon(ctx context.Context) context.Context {
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	DeferCleanup(cancel)
	return short
}
