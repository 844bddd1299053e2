package unit

import (
	"path"
	"strings"
)

// The reasons why a directive cannot change what a node does here.
const (
	isolation = "takes rights away from the service; without it the service can do more, never less"
	resources = "limits or weighs resources of the machine"
	terminal  = "is about a terminal, which nodes do not have"
	describes = "describes the unit"
	logging   = "is about how the journal keeps what is printed"
	manual    = "is about what an administrator may do by hand"
	install   = "is read by systemctl enable; the links that it made are what counts"
	restarts  = "is about restarts, which are recorded as failures"
	stopping  = "is about how a unit ends, and a node ends as a whole"
	emergency = "is about rescuing a machine"
	watching  = "is about supervision after the start"
	storage   = "hands over credentials or descriptors that no lab has"
)

// harmless lists what is read and passed over, each with its reason. Whoever
// adds a line here says why it cannot change a verdict.
var harmless = map[string]string{
	"Unit.Description": describes, "Unit.Documentation": describes, "Unit.SourcePath": describes,
	"Unit.RefuseManualStart": manual, "Unit.RefuseManualStop": manual, "Unit.AllowIsolate": manual, "Unit.IgnoreOnIsolate": manual,
	"Unit.StopWhenUnneeded": stopping, "Unit.PartOf": stopping, "Unit.PropagatesStopTo": stopping, "Unit.StopPropagatedFrom": stopping,
	"Unit.PropagatesReloadTo": manual, "Unit.ReloadPropagatedFrom": manual, "Unit.SurviveFinalKillSignal": stopping,
	"Unit.OnFailure": emergency, "Unit.OnSuccess": emergency, "Unit.OnFailureJobMode": emergency, "Unit.OnSuccessJobMode": emergency,
	"Unit.FailureAction": emergency, "Unit.SuccessAction": emergency, "Unit.CollectMode": manual,
	"Unit.FailureActionExitStatus": emergency, "Unit.SuccessActionExitStatus": emergency, "Unit.RebootArgument": emergency,
	"Unit.JobTimeoutSec": watching, "Unit.JobRunningTimeoutSec": watching, "Unit.JobTimeoutAction": emergency,
	"Unit.StartLimitIntervalSec": restarts, "Unit.StartLimitBurst": restarts, "Unit.StartLimitAction": restarts, "Unit.StartLimitInterval": restarts,
	"Unit.RequiresMountsFor": "names mounts, which are the driver's", "Unit.WantsMountsFor": "names mounts, which are the driver's",

	"Service.RestartSec": restarts, "Service.RestartSteps": restarts, "Service.RestartMaxDelaySec": restarts,
	"Service.RestartPreventExitStatus": restarts, "Service.RestartForceExitStatus": restarts, "Service.RestartMode": restarts,
	"Service.StartLimitInterval": restarts, "Service.StartLimitBurst": restarts, "Service.StartLimitIntervalSec": restarts,
	"Service.SendSIGHUP": stopping, "Service.SendSIGKILL": stopping, "Service.FinalKillSignal": stopping, "Service.RestartKillSignal": stopping,
	"Service.TimeoutAbortSec": stopping, "Service.TimeoutStopFailureMode": stopping, "Service.TimeoutStartFailureMode": stopping,
	"Service.RuntimeMaxSec": watching, "Service.WatchdogSec": watching, "Service.WatchdogSignal": watching, "Service.OOMPolicy": watching,
	"Service.ManagedOOMPreference": watching, "Service.ManagedOOMSwap": watching, "Service.ManagedOOMMemoryPressure": watching,
	"Service.MemoryPressureWatch": watching, "Service.ExitType": watching, "Service.GuessMainPID": watching, "Service.NotifyAccess": watching,
	"Service.ReloadSignal": manual, "Service.RuntimeDirectoryPreserve": stopping,
	"Service.IgnoreSIGPIPE": "Go starts processes with SIGPIPE at its default already",

	"Service.StandardInput": terminal, "Service.StandardError": logging,
	"Service.TTYPath": terminal, "Service.TTYReset": terminal, "Service.TTYVHangup": terminal, "Service.TTYVTDisallocate": terminal,
	"Service.TTYRows": terminal, "Service.TTYColumns": terminal, "Service.UtmpIdentifier": terminal, "Service.UtmpMode": terminal,
	"Service.SyslogIdentifier": logging, "Service.SyslogFacility": logging, "Service.SyslogLevel": logging, "Service.SyslogLevelPrefix": logging,
	"Service.LogExtraFields": logging, "Service.LogRateLimitIntervalSec": logging, "Service.LogRateLimitBurst": logging,
	"Service.LogNamespace": logging, "Service.LogLevelMax": logging, "Service.LogFilterPatterns": logging,

	"Service.ProtectSystem": isolation, "Service.ProtectHome": isolation, "Service.ProtectProc": isolation, "Service.ProcSubset": isolation,
	"Service.ProtectClock": isolation, "Service.ProtectControlGroups": isolation, "Service.ProtectHostname": isolation,
	"Service.ProtectKernelLogs": isolation, "Service.ProtectKernelModules": isolation, "Service.ProtectKernelTunables": isolation,
	"Service.PrivateTmp": isolation, "Service.PrivateDevices": isolation, "Service.PrivateUsers": isolation, "Service.PrivateMounts": isolation,
	"Service.PrivateIPC": isolation, "Service.NoNewPrivileges": isolation, "Service.CapabilityBoundingSet": isolation,
	"Service.MemoryDenyWriteExecute": isolation, "Service.LockPersonality": isolation, "Service.RestrictNamespaces": isolation,
	"Service.RestrictRealtime": isolation, "Service.RestrictSUIDSGID": isolation, "Service.RestrictFileSystems": isolation, "Service.RemoveIPC": isolation,
	"Service.SystemCallFilter": isolation, "Service.SystemCallArchitectures": isolation, "Service.SystemCallErrorNumber": isolation, "Service.SystemCallLog": isolation,
	"Service.SecureBits": isolation, "Service.ReadWritePaths": isolation, "Service.ReadOnlyPaths": isolation, "Service.InaccessiblePaths": isolation,
	"Service.ExecPaths": isolation, "Service.NoExecPaths": isolation, "Service.DeviceAllow": isolation, "Service.DevicePolicy": isolation,
	"Service.KeyringMode": isolation, "Service.AppArmorProfile": isolation, "Service.SELinuxContext": isolation, "Service.SmackProcessLabel": isolation,

	"Service.Slice": resources, "Service.Delegate": resources, "Service.DelegateSubgroup": resources, "Service.Nice": resources,
	"Service.OOMScoreAdjust": resources, "Service.IOSchedulingClass": resources, "Service.IOSchedulingPriority": resources,
	"Service.CPUSchedulingPolicy": resources, "Service.CPUSchedulingPriority": resources, "Service.CPUAffinity": resources, "Service.CPUWeight": resources,
	"Service.CPUQuota": resources, "Service.IOWeight": resources, "Service.MemoryMax": resources, "Service.MemoryHigh": resources,
	"Service.MemoryLow": resources, "Service.MemoryMin": resources, "Service.MemorySwapMax": resources, "Service.TasksMax": resources, "Service.TasksAccounting": resources,
	"Service.CPUAccounting": resources, "Service.MemoryAccounting": resources, "Service.IOAccounting": resources, "Service.IPAccounting": resources, "Service.BlockIOAccounting": resources,
	"Service.LimitNOFILE": resources, "Service.LimitNPROC": resources, "Service.LimitCORE": resources, "Service.LimitMEMLOCK": resources,
	"Service.LimitAS": resources, "Service.LimitCPU": resources, "Service.LimitFSIZE": resources, "Service.LimitSTACK": resources, "Service.LimitNICE": resources, "Service.LimitRTPRIO": resources,
	"Service.TimerSlackNSec": resources, "Service.CoredumpFilter": resources,

	"Service.ImportCredential": storage, "Service.LoadCredential": storage, "Service.FileDescriptorStoreMax": storage, "Service.FileDescriptorStorePreserve": storage,
	"Service.SysVStartPriority": describes, "Service.PAMName": "opens a session, which no unit of a lab needs",
}

// families are the address families without which a service cannot be reached.
var families = []string{"AF_INET", "AF_INET6"}

// passedOver tells whether a directive may be ignored.
func passedOver(d Directive) bool {
	if strings.HasPrefix(d.Section, "X-") || strings.HasPrefix(d.Key, "X-") {
		return true // meant for others (systemd.unit(5))
	}
	if d.Section == "Install" {
		return true
	}
	if d.Key == "RestrictAddressFamilies" {
		return keepsFamilies(d.Value)
	}
	if d.Key == "StandardOutput" {
		kind, _, _ := strings.Cut(d.Value, ":")
		return kind != "file" && kind != "append" && kind != "truncate" && kind != "socket" && kind != "fd"
	}
	if d.Key == "IPAddressDeny" || d.Key == "IPAddressAllow" {
		return d.Value == ""
	}
	return harmless[d.Section+"."+d.Key] != ""
}

// keepsFamilies tells whether a service keeps both IPv4 and IPv6, or has
// neither: one without the other would change who can reach it.
func keepsFamilies(value string) bool {
	denied := strings.HasPrefix(value, "~")
	named := 0
	for _, word := range strings.Fields(strings.TrimPrefix(value, "~")) {
		for _, f := range families {
			if word == f {
				named++
			}
		}
	}
	if denied {
		return named == 0
	}
	return named != 1
}

// unsupported is the way out for directives that people are known to use.
var unsupported = map[string]string{
	"PrivateNetwork":       "a node is one network namespace",
	"NetworkNamespacePath": "a node is one network namespace",
	"JoinsNamespaceOf":     "a node is one network namespace",
	"DynamicUser":          "name a User= of the node instead",
	"RootDirectory":        "the node's own root is the only one",
	"RootImage":            "the node's own root is the only one",
	"AmbientCapabilities":  "run the service as root, or on a port above 1023",
	"IPAddressDeny":        "say it in the node's firewall rules",
	"IPAddressAllow":       "say it in the node's firewall rules",
	"SocketBindDeny":       "say it in the node's firewall rules",
	"SocketBindAllow":      "say it in the node's firewall rules",
	"Sockets":              "socket activation comes in a later release",
	"BusName":              "nodes have no D-Bus",
}

// leftOut are the units that a node's driver, or nobody, stands in for.
var leftOut = []struct{ pattern, reason string }{
	{"systemd-sysctl.service", ""}, // run: it decides whether a node forwards
	{"systemd-modules-load.service", "the modules are those of the machine's kernel"},
	{"systemd-networkd*.service", "the driver makes links and addresses"},
	{"systemd-*", "is a part of systemd, which a node does not run"},
	{"networking.service", "the driver makes links and addresses"},
	{"NetworkManager*.service", "the driver makes links and addresses"},
	{"*getty*.service", "a node has no terminal"},
	{"kmod*.service", "the modules are those of the machine's kernel"},
	{"dbus*.service", "nodes have no D-Bus"},
	{"apt-daily*.service", "nodes fetch no packages"},
	{"cloud-*.service", "nodes have no cloud"},
}

// notRun says why a unit is not run here, "" when it is.
func notRun(name string) string {
	for _, l := range leftOut {
		if ok, err := path.Match(l.pattern, name); err == nil && ok {
			return l.reason
		}
	}
	return ""
}
