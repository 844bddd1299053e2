package topology

// The roles of a node.
const (
	RoleHypervisor   = "hypervisor"
	RoleBackupServer = "backup-server"
	RoleRouter       = "router"
	RoleClient       = "client"
	RoleServer       = "server"
)

var roles = []string{RoleHypervisor, RoleBackupServer, RoleRouter, RoleClient, RoleServer}

// drivers lists what site.yaml may name under driver.
var drivers = []string{"netns"}

// builtIn lists the services that every site knows.
var builtIn = []Service{
	{Name: "ssh", Protocol: "tcp", Port: 22},
	{Name: "pbs", Protocol: "tcp", Port: 8007},
	{Name: "wireguard", Protocol: "udp", Port: 51820},
	{Name: "ping", Protocol: "icmp"},
	{Name: "dns", Protocol: "udp", Port: 53},
	{Name: "http", Protocol: "tcp", Port: 80},
	{Name: "https", Protocol: "tcp", Port: 443},
	{Name: "zabbix", Protocol: "tcp", Port: 10051},
	{Name: "zabbix-agent", Protocol: "tcp", Port: 10050},
	{Name: "pve", Protocol: "tcp", Port: 8006},
	{Name: "nfs", Protocol: "tcp", Port: 2049},
}
