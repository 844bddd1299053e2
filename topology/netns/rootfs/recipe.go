package rootfs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
)

// suite is Debian 13, the release of the hosts that the design describes.
const suite = "trixie"

// preparation counts the ways in which what is unpacked has changed: a root
// that an older release prepared is made again.
const preparation = 1

// packages is what a node's tools come from. systemd is there for its unit
// files and its targets; it never runs.
var packages = []string{
	"nftables", "iptables", "iptables-persistent", "netfilter-persistent",
	"wireguard-tools", "iproute2", "openssh-server", "conntrack",
	"iputils-ping", "traceroute", "curl", "procps", "ca-certificates", "systemd",
}

// tools are the packages whose versions a report names.
var tools = []string{"nftables", "iptables", "wireguard-tools", "openssh-server", "conntrack", "iproute2"}

// recipe names a build: equal recipes make roots of equal use.
func recipe() string {
	return digest("debian", suite, runtime.GOARCH, strings.Join(packages, " "))
}

// rootName names what a tarball becomes for one owner of its files.
func rootName(tarball string, ids []IDMap) string {
	return "rootfs-" + digest(tarball, fmt.Sprint(preparation), owners(ids))
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
