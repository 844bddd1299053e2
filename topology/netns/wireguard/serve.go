package wireguard

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

// memoryLimit keeps a tunnel small after a load: a lab of fifty nodes has a
// hundred of them. Without it 130 to 170 MiB stayed resident.
const memoryLimit = 48 << 20

// serve carries the tunnel until the interface or the control socket goes, or
// it is told to end.
func serve(c call) error {
	nameProcess()
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	t, err := takeTUN(c.name)
	if err != nil {
		return err
	}
	control, err := takeSocket(c.name)
	if err != nil {
		t.Close()
		return err
	}
	d := device.NewDevice(t, conn.NewDefaultBind(), logger(c))
	defer d.Close()
	defer control.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			one, err := control.Accept()
			if err != nil {
				return // the socket was removed
			}
			go d.IpcHandle(one)
		}
	}()
	if err := sayReady(); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT)
	select {
	case <-ended:
	case <-gone:
	case <-d.Wait(): // the interface was deleted
	}
	return nil
}

// nameProcess makes ps and pgrep show the program's name: an exec of
// /proc/self/exe calls every process "exe". Without it all else works.
func nameProcess() {
	_ = os.WriteFile("/proc/self/comm", []byte("wireguard-go"), 0)
}

func takeTUN(name string) (tun.Device, error) {
	f, err := inherited(tunVariable)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return openTUN(name)
	}
	t, err := tun.CreateTUNFromFile(f, device.DefaultMTU)
	if err != nil {
		return nil, fmt.Errorf("take over the interface %s: %w", name, err)
	}
	return t, nil
}

func takeSocket(name string) (net.Listener, error) {
	f, err := inherited(socketVariable)
	if err != nil {
		return nil, err
	}
	if f == nil {
		if f, err = ipc.UAPIOpen(name); err != nil {
			return nil, fmt.Errorf("open the control socket of %s: %w", name, err)
		}
	}
	l, err := ipc.UAPIListen(name, f)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket of %s: %w", name, err)
	}
	return l, nil
}

func sayReady() error {
	f, err := inherited(readyVariable)
	if err != nil || f == nil {
		return err
	}
	if _, err := f.Write([]byte{1}); err != nil {
		return fmt.Errorf("say that the tunnel is ready: %w", err)
	}
	return f.Close()
}

func logger(c call) *device.Logger {
	level := device.LogLevelError
	switch c.log {
	case "verbose", "debug":
		level = device.LogLevelVerbose
	case "silent":
		level = device.LogLevelSilent
	}
	return device.NewLogger(level, "("+c.name+") ")
}
