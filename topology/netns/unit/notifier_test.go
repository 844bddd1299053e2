package unit

import (
	"fmt"
	"net"
	"os"
	"time"
)

// notifier is a service of Type=notify that runs until it is told to end.
func notifier() {
	fmt.Println("ready now")
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err == nil {
		_, err = conn.Write([]byte("STATUS=up\nREADY=1\n"))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	time.Sleep(time.Hour) // until it is killed; without cgo, select {} alone is a deadlock to the runtime
}
