package topology_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pbsdrill/pbsdrill/topology"
)

// edit replaces a text in a file of the minimal site; without an old text it
// writes the file.
type edit struct{ file, old, text string }

const (
	siteYAML = "site.yaml"
	wgHome   = "nodes/home/etc/wireguard/wg0.conf"
	wants    = "nodes/vps/etc/systemd/system/multi-user.target.wants/"
)

// someKey is 32 zero bytes: a key by its form, and nobody's.
const someKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

var badSites = []struct {
	name  string
	edits []edit
	want  string
}{
	// The document.
	{"no YAML", []edit{{siteYAML, "nodes:\n", "nodes: [\n"}},
		"site.yaml:11: is not YAML: did not find expected ',' or ']'"},
	{"an unknown key", []edit{{siteYAML, "silent:", "quiet:"}},
		`site.yaml:24:3: promises.quiet: unknown key; known: reach, silent, limits, logins, leaves, persist, tunnel, local, offsite, survives, restore, heard`},
	{"a mistyped key", []edit{{siteYAML, "persist:", "presist:"}},
		`site.yaml:29:3: promises.presist: unknown key; did you mean "persist"?`},
	{"a key given twice", []edit{{siteYAML, "silent: [vps]", "silent: [vps]\n  silent: [home]"}},
		`site.yaml:25:3: promises.silent: given twice, first in line 24; keep one of them`},
	{"a missing key", []edit{{siteYAML, "{role: server, on", "{on"}},
		`site.yaml:13:13: nodes.nas: role is missing`},
	{"a list for a mapping", []edit{{siteYAML, "nodes:\n", "x: 1\nnodes:\n"}, {siteYAML, "{ipv4: 192.168.100.0/24, ipv6: fd00:100::/64}", "[a]"}},
		"site.yaml:5:13: networks.lan: must be a mapping, not a list\nsite.yaml:11:1: x: unknown key; known: site, about, driver, rootfs, networks, services, nodes, promises, waivers"},
	{"a second document", []edit{{siteYAML, "waivers:", "---\nwaivers:"}},
		`site.yaml:32:1: a second document begins here; a site is one document`},
	{"another driver", []edit{{siteYAML, "site: minimal", "site: minimal\ndriver: netms"}},
		`site.yaml:2:9: driver: driver "netms" is not in this release; did you mean "netns"?`},

	// Networks.
	{"bits behind the prefix", []edit{{siteYAML, "192.168.100.0/24", "192.168.100.1/24"}},
		"site.yaml:5:20: networks.lan.ipv4: 192.168.100.1/24 has bits behind its length; did you mean \"192.168.100.0/24\"?"},
	{"a prefix of the other family", []edit{{siteYAML, "lan:      {ipv4: 192.168.100.0/24, ipv6: fd00:100::/64}", "lan: {ipv4: 192.168.100.0/24, ipv6: 10.1.0.0/16}"}},
		"site.yaml:5:39: networks.lan.ipv6: 10.1.0.0/16 is no IPv6 prefix"},
	{"a network of no family", []edit{{siteYAML, "nodes:\n", "nodes:\n"}, {siteYAML, "  internet: {", "  dmz: {}\n  internet: {"}},
		"site.yaml:6:3: networks.dmz: has neither ipv4 nor ipv6"},
	{"two outsides", []edit{{siteYAML, "  internet: {", "  elsewhere: {ipv4: 0.0.0.0/0}\n  internet: {"}},
		"site.yaml:7:3: networks.internet: is all of IPv4, and so is network \"elsewhere\"; there is one outside"},
	{"a round trip in no time", []edit{{siteYAML, "97ms", "fast"}},
		`site.yaml:6:59: networks.internet.round-trip: "fast" is no length of time such as 97ms, 30s or 6h`},
	{"a service of nothing", []edit{{siteYAML, "tcp/8080", "tcp/99999"}},
		`site.yaml:9:11: services.gotify: "tcp/99999" is no service such as tcp/80, udp/514 or icmp`},
	{"a service that is built in", []edit{{siteYAML, "gotify: tcp/8080", "gotify: tcp/8080\n  ssh: tcp/2222"}},
		`site.yaml:10:3: services.ssh: service "ssh" is built in; give yours another name`},

	// Nodes.
	{"an unknown network", []edit{{siteYAML, "on: {lan: 192.168.100.40}", "on: {lam: 192.168.100.40}"}},
		`site.yaml:12:40: nodes.home.on: network "lam" is not defined; did you mean "lan"?`},
	{"an address outside of its network", []edit{{siteYAML, "on: {lan: 192.168.100.40}", "on: {lan: 192.168.10.40}"}},
		`site.yaml:12:45: nodes.home.on.lan: 192.168.10.40 is outside of network "lan", which is 192.168.100.0/24`},
	{"an address of a family that the network lacks", []edit{{siteYAML, "ipv4: 0.0.0.0/0, ipv6: 2000::/3", "ipv4: 0.0.0.0/0"}},
		`site.yaml:15:66: nodes.vps.on.internet[1]: network "internet" has no ipv6 prefix for 2001:db8:20::1; add one to it`},
	{"an address given twice", []edit{{siteYAML, "192.168.100.50", "192.168.100.40"}},
		`site.yaml:13:39: nodes.nas.on.lan[0]: 192.168.100.40 is home's already`},
	{"no address", []edit{{siteYAML, "on: {lan: 192.168.100.40}", "on: {lan: 192.168.100.40/24}"}},
		`site.yaml:12:45: nodes.home.on.lan: "192.168.100.40/24" is no address such as 192.168.100.10 (the prefix's length stands with the network)`},
	{"the network's own address", []edit{{siteYAML, "on: {lan: 192.168.100.40}", "on: {lan: 192.168.100.255}"}},
		`site.yaml:12:45: nodes.home.on.lan: 192.168.100.255 is the first or the last address of 192.168.100.0/24, which no node can have`},
	{"an unknown role", []edit{{siteYAML, "role: server", "role: sever"}},
		`site.yaml:13:20: nodes.nas.role: role "sever" is not known; did you mean "server"?`},
	{"NAT on a node that is no router", []edit{{siteYAML, "role: router", "role: server"}},
		`site.yaml:14:82: nodes.router.nat: only a router masquerades, and the role of router is "server"`},
	{"a mount of nobody", []edit{{siteYAML, "storage: nas", "storage: nsa"}},
		`site.yaml:12:89: nodes.home.mounts./mnt/nfs-storage: node "nsa" is not defined; did you mean "nas"?`},
	{"a name that is no host's", []edit{{siteYAML, "  stranger: {", "  Old_Box: {role: client, on: {lan: 192.168.100.9}}\n  stranger: {"}},
		`site.yaml:16:3: nodes.Old_Box: a node's name has lower-case letters, digits and dashes, at most 63`},
	{"a node with a network's name", []edit{{siteYAML, "  stranger: {", "  lan: {role: client, on: {lan: 192.168.100.9}}\n  stranger: {"}},
		`site.yaml:16:3: nodes.lan: "lan" is a network too (site.yaml:5:3); promises could not tell them apart`},
	{"a mode of a missing file", []edit{{siteYAML, "/etc/motd:", "/etc/mood:"}},
		`site.yaml:15:105: nodes.vps.modes: there is no nodes/vps/etc/mood; did you mean "/etc/motd"?`},
	{"no mode", []edit{{siteYAML, "0640 root:adm", "rw-r-----"}},
		`site.yaml:15:105: nodes.vps.modes./etc/motd: "rw-r-----" is no mode such as "0640" or "0640 root:backup"`},
	{"a mode that wg-quick warns of", []edit{{siteYAML, `/etc/motd: "0640 root:adm"`, `/etc/wireguard/wg0.conf: "0644"`}},
		`site.yaml:15:119: nodes.vps.modes: /etc/wireguard/wg0.conf gets mode 0644: wg-quick warns of a file that others can use; take 0600`},
	{"a mode that sshd refuses", []edit{{siteYAML, `/etc/motd: "0640 root:adm"`, `/root/.ssh/authorized_keys: "0666"`}, {"nodes/vps/root/.ssh/authorized_keys", "", "@{ssh.stranger.public}\n"}},
		`site.yaml:15:122: nodes.vps.modes: /root/.ssh/authorized_keys gets mode 0666: sshd refuses keys that others can write to (StrictModes); take 0700 for the folder and 0600 for the file`},

	// Promises.
	{"an unknown node in a promise", []edit{{siteYAML, "vps -> home over wg0", "vps -> hime over wg0"}},
		`site.yaml:20:14: promises.reach[0]: "hime" is no node and no network; did you mean "home"?`},
	{"an unknown network in a promise", []edit{{siteYAML, "over wg0", "over wg1"}},
		`site.yaml:20:24: promises.reach[0]: network "wg1" is not defined; did you mean "wg0"?`},
	{"an unknown service in a promise", []edit{{siteYAML, "[pbs, ping]", "[pbs, pong]"}},
		`site.yaml:20:35: promises.reach[0].vps -> home over wg0: service "pong" is not defined; did you mean "ping"?`},
	{"a service named twice", []edit{{siteYAML, "[pbs, ping]", "[pbs, pbs]"}},
		`site.yaml:20:29: promises.reach[0].vps -> home over wg0: names a service twice`},
	{"an arrow of another kind", []edit{{siteYAML, "vps -> home over wg0", "vps => home over wg0"}},
		`site.yaml:20:7: promises.reach[0]: "vps => home over wg0" is not FROM -> TO or FROM -> TO over NETWORK`},
	{"a target that is not there", []edit{{siteYAML, "vps -> home over wg0", "vps -> nas over wg0"}},
		`site.yaml:20:14: promises.reach[0]: nas has no address on "wg0", so it cannot be reached there; it is on lan`},
	{"a line of itself", []edit{{siteYAML, "vps -> home over wg0", "vps -> vps over wg0"}},
		`site.yaml:20:7: promises.reach[0]: vps reaches itself without a network; name two nodes`},
	{"a silent nobody", []edit{{siteYAML, "silent: [vps]", "silent: [vp]"}},
		`site.yaml:24:12: promises.silent[0]: node "vp" is not defined; did you mean "vps"?`},
	{"a limit in other words", []edit{{siteYAML, "4 per 60s", "4/min"}},
		"site.yaml:25:25: promises.limits[0].ssh at vps: \"4/min\" is no limit, as in `ssh at vps: 4 per 60s`"},
	{"a limit of nothing", []edit{{siteYAML, "ssh at vps", "sssh at vps"}},
		`site.yaml:25:13: promises.limits[0].sssh at vps: service "sssh" is not defined; did you mean "ssh"?`},
	{"a login in other words", []edit{{siteYAML, "keys only", "passwords"}},
		`site.yaml:27:20: promises.logins[0].root at vps: "passwords" is not known; known: keys only`},
	{"a way out that is not there", []edit{{siteYAML, "zabbix-agent at vps: wg0", "zabbix-agent at vps: wg9"}},
		`site.yaml:28:34: promises.leaves[0].zabbix-agent at vps: network "wg9" is not defined; did you mean "wg0"?`},

	// Waivers.
	{"a waiver without a reason", []edit{{siteYAML, "    because: there is no filter in this example\n", ""}},
		`site.yaml:33:5: waivers[0]: because is missing`},
	{"a waiver until whenever", []edit{{siteYAML, "2027-06-30", "30.6.2027"}},
		`site.yaml:38:12: waivers[0].until: "30.6.2027" is no date such as 2027-06-30`},
	{"a waiver of nobody's flow", []edit{{siteYAML, "[stranger -> vps over internet pbs", "[strangers -> vps over internet bps"}},
		"site.yaml:34:12: waivers[0].flow[0]: node \"strangers\" is not defined; did you mean \"stranger\"?\n" +
			"site.yaml:34:43: waivers[0].flow[0]: service \"bps\" is not defined; did you mean \"pbs\"?"},
	{"a waiver of an unknown promise", []edit{{siteYAML, "promise: reach", "promise: offsite"}},
		`site.yaml:33:14: waivers[0].promise: promise "offsite" is not known; known: reach, silent, limits, logins, leaves, persist, parity`},

	// The nodes' files.
	{"files of an unknown node", []edit{{"nodes/hom/etc/motd", "", "hello\n"}},
		`nodes/hom: node "hom" is not defined in site.yaml; did you mean "home"?`},
	{"a file beside the nodes", []edit{{"nodes/README", "", "hello\n"}},
		`nodes/README: is a file; below nodes/ there is a folder for each node and nothing else`},
	{"an unknown kind of placeholder", []edit{{"nodes/vps/etc/issue", "", "hello\nand @{wq.vps.private}\n"}},
		`nodes/vps/etc/issue:2:5: nothing fills @{wq.vps.private}: kind "wq" is not known; did you mean "wg"?`},
	{"a placeholder of nobody", []edit{{wgHome, "@{wg.vps.public}", "@{wg.vsp.public}"}},
		`nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vsp.public}: node "vsp" is not defined; did you mean "vps"?`},
	{"a placeholder of no part", []edit{{wgHome, "@{wg.vps.public}", "@{wg.vps.secret}"}},
		`nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vps.secret}: write @{wg.NODE.private} or @{wg.NODE.public}`},
	{"a placeholder of an unknown tunnel", []edit{{wgHome, "@{wg.vps.public}", "@{wg.vps/wg1.public}"}},
		`nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vps/wg1.public}: nodes/vps has no etc/wireguard/wg1.conf; did you mean "wg0"?`},
	{"a placeholder with another name for the same key", []edit{{wgHome, "@{wg.vps.public}", "@{wg.vps/wg0.public}"}},
		`nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vps/wg0.public}: vps has one tunnel; write @{wg.vps.public}`},
	{"a placeholder that could be of two tunnels", []edit{{"nodes/vps/etc/wireguard/wg1.conf", "", "[Interface]\nAddress = 10.9.0.1/24\nPrivateKey = @{wg.vps/wg1.private}\n"}},
		"nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vps.public}: vps has the tunnels wg0, wg1; write @{wg.vps/wg0.public}\n" +
			"nodes/vps/etc/wireguard/wg0.conf:4:14: nothing fills @{wg.vps.private}: vps has the tunnels wg0, wg1; write @{wg.vps/wg0.private}"},
	{"a name that is none", []edit{{siteYAML, "  stranger: {", "  ~: {role: client, on: {lan: 192.168.100.9}}\n  stranger: {"}},
		"site.yaml:16:3: nodes.~: must be one word or text, not nothing"},
	{"a placeholder that never ends", []edit{{"nodes/vps/etc/issue", "", "@{password.root\n}"}},
		`nodes/vps/etc/issue:1:1: a placeholder begins here and never ends; close it with } on the same line`},
	{"a unit that nobody brings", []edit{{wants + "nftable.service", "", ""}},
		wants + `nftable.service: enables nftable.service, and there is no such unit: neither nodes/vps/etc/systemd/system/nftable.service nor one of the root's packages; did you mean "nftables.service"?`},
	{"a tunnel that is enabled and not there", []edit{{wants + "wg-quick@wg1.service", "", ""}},
		wants + `wg-quick@wg1.service: enables wg-quick@wg1.service, and there is no nodes/vps/etc/wireguard/wg1.conf`},

	// WireGuard.
	{"a bad key", []edit{{wgHome, "@{wg.vps.public}", "c2hvcnQ="}},
		`nodes/home/etc/wireguard/wg0.conf:6: peer: PublicKey "c2hvcnQ=" is neither a placeholder such as @{wg.NODE.public} nor a key of 32 bytes in base64`},
	{"two peers with one AllowedIPs", []edit{{wgHome, "PersistentKeepalive", "[Peer]\nPublicKey = " + someKey + "\nAllowedIPs = 10.200.0.1/32\nPersistentKeepalive"}},
		`nodes/home/etc/wireguard/wg0.conf:12: peer: AllowedIPs 10.200.0.1/32 is the peer's in line 5 already; WireGuard gives it to the last one only`},
	{"an unknown key of WireGuard's", []edit{{wgHome, "AllowedIPs", "AllowedIP"}},
		`nodes/home/etc/wireguard/wg0.conf:9: peer: key "allowedip" is not known; did you mean "allowedips"?`},
	{"one tunnel's address twice", []edit{{wgHome, "10.200.0.2/24", "10.200.0.1/24"}},
		`nodes/vps/etc/wireguard/wg0.conf:2: interface: 10.200.0.1 is home's already (nodes/home/etc/wireguard/wg0.conf:2)`},
	{"two tunnels of one name", []edit{{wgHome, "10.200.0.2/24", "10.9.0.2/24"}},
		`nodes/vps/etc/wireguard/wg0.conf:2: interface: 10.200.0.1 is outside of 10.9.0.0/24, which home has on wg0 (home/etc/wireguard/wg0.conf:2); if these are two tunnels, give their files two names`},

	// Secrets.
	{"a WireGuard key", []edit{{wgHome, "@{wg.home.private}", someKey}},
		`nodes/home/etc/wireguard/wg0.conf:3:14: a WireGuard key was left in the site: write @{wg.NODE.private}, or @{psk.A.B} for a preshared key`},
	{"a WireGuard key in a comment", []edit{{wgHome, "@{wg.home.private}", "@{wg.home.private}\n# PrivateKey = " + someKey}},
		`nodes/home/etc/wireguard/wg0.conf:4:16: a WireGuard key was left in the site: write @{wg.NODE.private}, or @{psk.A.B} for a preshared key`},
	{"a WireGuard key file", []edit{{"nodes/vps/etc/wireguard/vps-private.key", "", someKey + "\n"}, {"nodes/vps/etc/wireguard/vps-public.key", "", someKey + "\n"}},
		`nodes/vps/etc/wireguard/vps-private.key:1:1: a WireGuard key was left in the site: write @{wg.NODE.private}`},
	{"a private key", []edit{{"nodes/vps/root/.ssh/id_ed25519", "", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3Bl\n"}},
		`nodes/vps/root/.ssh/id_ed25519:1:12: a private key was left in the site: write @{ssh.NODE.private} for an SSH key; other keys are made by the lab`},
	{"a password of a remote", []edit{{"nodes/vps/etc/proxmox-backup/remote.cfg", "", "remote: home\n\tauth-id remote@pbs\n\tpassword c2VjcmV0\n"}},
		`nodes/vps/etc/proxmox-backup/remote.cfg:3:11: a password was left in the site: write @{password.NAME}`},
	{"a token of a notification", []edit{{"nodes/vps/etc/proxmox-backup/notifications-priv.cfg", "", "gotify: g\n\ttoken AbCdEf123\n"}},
		`nodes/vps/etc/proxmox-backup/notifications-priv.cfg:2:8: a password was left in the site: write @{password.NAME}`},
	{"a password of a storage", []edit{{"nodes/vps/etc/pve/priv/storage/PBS.pw", "", "hunter2"}},
		`nodes/vps/etc/pve/priv/storage/PBS.pw:1:1: a password was left in the site: write @{password.NAME}`},
	{"an encryption key", []edit{{"nodes/vps/etc/pve/priv/storage/PBS.enc", "", `{"kdf":null,"created":"2026-01-01T00:00:00Z","data":"` + someKey + `"}`}},
		`nodes/vps/etc/pve/priv/storage/PBS.enc:1:1: a PBS encryption key was left in the site: a site needs none; keep it where the escrowed keys are`},
	{"an API token", []edit{{"nodes/vps/root/check.sh", "", "curl -H 'Authorization: PBSAPIToken=root@pam!x:01234567-89ab-cdef-0123-456789abcdef' https://localhost:8007\n"}},
		`nodes/vps/root/check.sh:1:25: an API token was left in the site: write @{password.NAME} for the token's secret`},
	{"a crypt hash", []edit{{"nodes/vps/etc/shadow", "", "root:$y$j9T$01234567890123456789$0123456789012345678901234567890123456789012:20000::::::\ndaemon:*:20000::::::\n"}},
		`nodes/vps/etc/shadow:1:6: a password's crypt hash was left in the site: write @{hash.NAME}`},
	{"a password of another form", []edit{{"nodes/vps/etc/shadow", "", "root:@{hash.root}:1::::::\nme:abJnggxhB/yWI:20000::::::\n"}},
		`nodes/vps/etc/shadow:2:4: a password hash was left in the site: write @{hash.NAME}, or * for no password`},
	{"a password in the environment", []edit{{"nodes/vps/etc/default/backup", "", "PBS_PASSWORD='hunter2'\n"}},
		`nodes/vps/etc/default/backup:1:15: a password was left in the site: write @{password.NAME}`},
}

func TestWhatIsWrongIsNamedWithItsPlaceAndAWayOut(t *testing.T) {
	for _, c := range badSites {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOfMinimal(t)
			for _, e := range c.edits {
				replace(t, dir, e.file, e.old, e.text)
			}
			expectProblems(t, dir, c.want)
		})
	}
}

func expectProblems(t *testing.T, dir, want string) {
	t.Helper()
	site, err := topology.Load(dir)
	var problems topology.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("it loads, or fails otherwise: %v", err)
	}
	if site != nil {
		t.Error("there is a site although there are problems")
	}
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEveryProblemIsReportedAtOnceAndInOrder(t *testing.T) {
	dir := copyOfMinimal(t)
	for _, e := range []edit{
		{wgHome, "AllowedIPs = 10.200.0.1/32", "AllowedIPs = everything"},
		{wgHome, "@{wg.vps.public}", "@{wg.vsp.public}"},
		{siteYAML, "silent: [vps]", "silent: [vp]"},
		{siteYAML, "role: server", "role: sever"},
		{siteYAML, "over wg0", "over wg1"},
		{siteYAML, "site: minimal", "site: minimal\ncolour: red"},
	} {
		replace(t, dir, e.file, e.old, e.text)
	}
	expectProblems(t, dir, strings.Join([]string{
		`nodes/home/etc/wireguard/wg0.conf:6:13: nothing fills @{wg.vsp.public}: node "vsp" is not defined; did you mean "vps"?`,
		`nodes/home/etc/wireguard/wg0.conf:9: peer: AllowedIPs "everything" is no address such as 10.200.0.1/24`,
		`site.yaml:2:1: colour: unknown key; known: site, about, driver, rootfs, networks, services, nodes, promises, waivers`,
		`site.yaml:14:20: nodes.nas.role: role "sever" is not known; did you mean "server"?`,
		`site.yaml:21:24: promises.reach[0]: network "wg1" is not defined; did you mean "wg0"?`,
		`site.yaml:25:12: promises.silent[0]: node "vp" is not defined; did you mean "vps"?`,
	}, "\n"))
}

func TestSecretsAreFoundEvenWhenTheDocumentIsBroken(t *testing.T) {
	dir := copyOfMinimal(t)
	replace(t, dir, siteYAML, "nodes:\n", "nodes: [\n")
	replace(t, dir, wgHome, "@{wg.home.private}", someKey)
	expectProblems(t, dir, "nodes/home/etc/wireguard/wg0.conf:3:14: a WireGuard key was left in the site: write @{wg.NODE.private}, or @{psk.A.B} for a preshared key\n"+
		"site.yaml:11: is not YAML: did not find expected ',' or ']'")
}

func TestNoMessageRepeatsASecret(t *testing.T) {
	for _, c := range badSites {
		if strings.Contains(c.want, "hunter2") || strings.Contains(c.want, someKey) || strings.Contains(c.want, "AbCdEf123") {
			t.Errorf("%s: the message has the secret in it", c.name)
		}
	}
}

func TestLinksResolveInsideTheNode(t *testing.T) {
	for _, c := range []struct{ name, link, target, want string }{
		{"into the root's own files", "etc/localtime", "/usr/share/zoneinfo/UTC", ""},
		{"relative into the root's own files", "etc/localtime", "../usr/share/zoneinfo/UTC", ""},
		{"to a file of the site", "etc/issue", "motd", ""},
		{"absolute to a file of the site", "etc/issue", "/etc/motd", ""},
		{"to a folder of the site", "srv", "etc/wireguard", ""},
		{"masking a unit", "etc/systemd/system/ssh.service", "/dev/null", ""},
		{"out of the node", "etc/issue", "../../home/etc/motd", "etc/issue: links to ../../home/etc/motd, which is outside of nodes/vps/; copy the file to here"},
		{"out of the site", "etc/issue", "../../../../../../etc/passwd", "etc/issue: links to ../../../../../../etc/passwd, which is outside of nodes/vps/; copy the file to here"},
		{"out and back in", "etc/issue", "../../vps/etc/motd", "etc/issue: links to ../../vps/etc/motd, which is outside of nodes/vps/; copy the file to here"},
		{"dangling", "etc/issue", "mood", "etc/issue: links to mood, and there is no nodes/vps/etc/mood in the site; links into /usr and /lib may lead to the node's own files"},
		{"dangling, absolute", "etc/issue", "/etc/mood", "etc/issue: links to /etc/mood, and there is no nodes/vps/etc/mood in the site; links into /usr and /lib may lead to the node's own files"},
		{"in a circle", "etc/issue", "issue", "etc/issue: links to issue, which leads back to itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOfMinimal(t)
			link := filepath.Join(dir, "nodes/vps", c.link)
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(c.target, link); err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				load(t, dir)
				return
			}
			expectProblems(t, dir, "nodes/vps/"+c.want)
		})
	}
}

func TestAFolderOfANodeIsNoLink(t *testing.T) {
	dir := copyOfMinimal(t)
	if err := os.Symlink("/etc", filepath.Join(dir, "nodes/stranger")); err != nil {
		t.Fatal(err)
	}
	expectProblems(t, dir, "nodes/stranger: is a link; below nodes/ there is a folder for each node and nothing else")
}

func TestTheSiteFileMayNotLieOutside(t *testing.T) {
	dir := copyOfMinimal(t)
	outside := filepath.Join(t.TempDir(), siteYAML)
	if err := os.Rename(filepath.Join(dir, siteYAML), outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, siteYAML)); err != nil {
		t.Fatal(err)
	}
	expectProblems(t, dir, "site.yaml: cannot be read: path escapes from parent")
}

func TestOnlyFilesFoldersAndLinksAreFiles(t *testing.T) {
	dir := copyOfMinimal(t)
	want := ""
	if err := syscall.Mkfifo(filepath.Join(dir, "nodes/vps/etc/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A device takes root; without it the other two still tell something.
	if err := syscall.Mknod(filepath.Join(dir, "nodes/vps/etc/null"), syscall.S_IFCHR|0o600, 1<<8|3); err == nil {
		want += "nodes/vps/etc/null: is a character device; a site has files, folders and links\n"
	}
	want += "nodes/vps/etc/pipe: is a named pipe; a site has files, folders and links\n"
	t.Chdir(filepath.Join(dir, "nodes/vps/etc")) // a socket's path has 108 bytes at most
	socket, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	want += "nodes/vps/etc/socket: is a socket; a site has files, folders and links"
	expectProblems(t, dir, want)
}

func TestUnreadableFilesAreNamed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := copyOfMinimal(t)
	if err := os.Chmod(filepath.Join(dir, "nodes/vps/etc/motd"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := topology.Load(dir)
	if want := "nodes/vps/etc/motd: cannot be read: permission denied"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestASiteOfManyNodesLoadsQuickly(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("site: many\nnetworks: {lan: {ipv4: 10.0.0.0/8}}\nnodes:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  n%d: {role: client, on: {lan: 10.0.%d.%d}}\n", i, i/200+1, i%200+1)
	}
	replace(t, dir, siteYAML, "", b.String())
	if got := len(load(t, dir).Nodes); got != 500 {
		t.Errorf("%d nodes", got)
	}
}
