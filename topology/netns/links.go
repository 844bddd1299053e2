package netns

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/pbsdrill/pbsdrill/topology/netns/wire"
)

// attachRequest asks for a cable: a pair of interfaces, one end named in the
// node, the other in the network's bridge.
type attachRequest struct {
	Node  string `json:"node"`
	Links []link `json:"links"`
}

type link struct {
	Interface string `json:"interface"`
	Network   int    `json:"network"` // index of the site's network
	MAC       string `json:"mac"`
}

func bridgeName(network int) string { return fmt.Sprintf("net%d", network) }

// labNetwork makes one bridge for each network. The bridges carry frames and
// nothing else: the supervisor has no address in the lab.
func labNetwork(networks []string) error {
	for _, kind := range []string{"all", "default"} {
		path := "/proc/sys/net/ipv6/conf/" + kind + "/disable_ipv6"
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("switch the bridges' own IPv6 off: %w", err)
		}
	}
	for i, name := range networks {
		off := false
		b := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName(i), Alias: name}, MulticastSnooping: &off}
		if err := netlink.LinkAdd(b); err != nil {
			return fmt.Errorf("make network %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(b); err != nil {
			return fmt.Errorf("bring network %s up: %w", name, err)
		}
	}
	return nil
}

// kernelWireGuard tries: a module that is not loaded yet is loaded by asking.
func kernelWireGuard() bool {
	l := &netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: "wg-try"}}
	if err := netlink.LinkAdd(l); err != nil {
		return false
	}
	_ = netlink.LinkDel(l)
	return true
}

func (s *supervisor) attach(r *wire.Request) error {
	var q attachRequest
	if err := r.Decode(&q); err != nil {
		return err
	}
	pid, err := s.pid(q.Node)
	if err != nil {
		return err
	}
	for _, l := range q.Links {
		if err := cable(q.Node, pid, l); err != nil {
			return err
		}
	}
	return r.Reply(nil)
}

// cable makes the pair with the node's end born in the node's namespace, so
// that its name never exists beside the bridges.
func cable(node string, pid int, l link) error {
	bridge, err := netlink.LinkByName(bridgeName(l.Network))
	if err != nil {
		return fmt.Errorf("attach %s %s: %w", node, l.Interface, err)
	}
	mac, err := net.ParseMAC(l.MAC)
	if err != nil {
		return fmt.Errorf("attach %s %s: %w", node, l.Interface, err)
	}
	outer := netlink.NewLinkAttrs()
	outer.Name = fmt.Sprintf("p%d.%s", pid, l.Interface)
	outer.MasterIndex = bridge.Attrs().Index
	outer.Flags = net.FlagUp
	veth := &netlink.Veth{LinkAttrs: outer, PeerName: l.Interface, PeerHardwareAddr: mac, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("attach %s %s: %w", node, l.Interface, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("attach %s %s: %w", node, l.Interface, err)
	}
	return nil
}

// addressing is what an agent sets on one of its interfaces.
type addressing struct {
	Interface string         `json:"interface"`
	Addresses []netip.Prefix `json:"addresses"`
	Routes    []route        `json:"routes"`
}

type route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"` // zero: on the link
}

// address configures one interface of this network namespace. Duplicate
// address detection is off: it alone takes two seconds (RFC 4862, 5.4), and
// the loader has already refused duplicates.
func address(a addressing) error {
	l, err := netlink.LinkByName(a.Interface)
	if err != nil {
		return fmt.Errorf("configure %s: %w", a.Interface, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring %s up: %w", a.Interface, err)
	}
	for _, p := range a.Addresses {
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = ifaNoDAD
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("give %s %s: %w", a.Interface, p, err)
		}
	}
	for _, r := range a.Routes {
		nr := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(r.To), Scope: netlink.SCOPE_LINK}
		if r.Via.IsValid() {
			nr.Gw, nr.Scope = r.Via.AsSlice(), netlink.SCOPE_UNIVERSE
		}
		if r.To.Addr().Is6() {
			nr.Scope = netlink.SCOPE_UNIVERSE
		}
		if err := netlink.RouteReplace(nr); err != nil {
			return fmt.Errorf("route %s by %s: %w", r.To, a.Interface, err)
		}
	}
	return nil
}

// ifaNoDAD is IFA_F_NODAD of linux/if_addr.h.
const ifaNoDAD = 0x02

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
