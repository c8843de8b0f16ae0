//! Every flag, in the order of the help.

use super::Flag;

/// Injectors pass Istio's logging options to every command.
const ACCEPTED_LOG: &str = "Accepted for compatibility, no effect: there is no log";

/// Every flag.
pub(crate) const FLAGS: &[&Flag] = &[
    &ENVOY_PORT,
    &INBOUND_CAPTURE_PORT,
    &INBOUND_TUNNEL_PORT,
    &PROXY_UID,
    &PROXY_GID,
    &INBOUND_PORTS,
    &EXCLUDE_INBOUND_PORTS,
    &SERVICE_CIDR,
    &EXCLUDE_SERVICE_CIDR,
    &EXCLUDE_OUTBOUND_PORTS,
    &OUTBOUND_PORTS,
    &EXCLUDE_INTERFACES,
    &REROUTE_INTERFACES,
    &INTERCEPTION_MODE,
    &TPROXY_MARK,
    &TPROXY_TABLE,
    &DROP_INVALID,
    &DUAL_STACK,
    &RULESET,
    &NETWORK_NAMESPACE,
    &DRY_RUN,
    &SKIP_RULE_APPLY,
    &CLEANUP_ONLY,
    &RECONCILE,
    &FORCE_APPLY,
    &CNI_MODE,
    &FORCE_IPTABLES_BINARY,
    &PROBE_PORT,
    &PROBE_TIMEOUT,
    &RUN_VALIDATION,
    &REDIRECT_DNS,
    &CAPTURE_ALL_DNS,
    &NATIVE_NFTABLES,
    &RESTORE_FORMAT,
    &TRACE_LOGGING,
    &HOST_NSENTER_EXEC,
    &IPTABLES_VERSION,
    &LOG_OUTPUT_LEVEL,
    &LOG_AS_JSON,
    &LOG_TARGET,
    &LOG_CALLER,
    &LOG_STACKTRACE_LEVEL,
    &LOG_ROTATE,
    &LOG_ROTATE_MAX_AGE,
    &LOG_ROTATE_MAX_BACKUPS,
    &LOG_ROTATE_MAX_SIZE,
];

pub(crate) static ENVOY_PORT: Flag = Flag::value("envoy-port", "PORT")
    .short('p')
    .default("15001")
    .help("Port on which the proxy accepts outbound connections");

pub(crate) static INBOUND_CAPTURE_PORT: Flag = Flag::value("inbound-capture-port", "PORT")
    .short('z')
    .default("15006")
    .help("Port on which the proxy accepts inbound connections");

pub(crate) static INBOUND_TUNNEL_PORT: Flag = Flag::value("inbound-tunnel-port", "PORT")
    .short('e')
    .default("15008")
    .help("Port on which the proxy accepts tunnelled connections; never redirected");

pub(crate) static PROXY_UID: Flag = Flag::value("proxy-uid", "UIDS")
    .short('u')
    .help("User IDs of the proxy, comma-separated [default: that of user ENVOY_USER, or 1337]");

pub(crate) static PROXY_GID: Flag = Flag::value("proxy-gid", "GIDS")
    .short('g')
    .help("Group IDs of the proxy, comma-separated [default: as --proxy-uid]");

pub(crate) static INBOUND_PORTS: Flag = Flag::value("istio-inbound-ports", "PORTS")
    .short('b')
    .help("Inbound ports and ranges such as 8000:8100 to redirect, comma-separated, or `*`; empty: none");

pub(crate) static EXCLUDE_INBOUND_PORTS: Flag = Flag::value("istio-local-exclude-ports", "PORTS")
    .short('d')
    .help("Inbound ports and ranges to exclude, comma-separated, if all are redirected");

pub(crate) static SERVICE_CIDR: Flag = Flag::value("istio-service-cidr", "CIDRS")
    .short('i')
    .help("Destinations to redirect, comma-separated, or `*`; empty: none");

pub(crate) static EXCLUDE_SERVICE_CIDR: Flag = Flag::value("istio-service-exclude-cidr", "CIDRS")
    .short('x')
    .help("Destinations to exclude, comma-separated");

pub(crate) static EXCLUDE_OUTBOUND_PORTS: Flag =
    Flag::value("istio-local-outbound-ports-exclude", "PORTS")
        .short('o')
        .help("Outbound ports and ranges to exclude, comma-separated");

pub(crate) static OUTBOUND_PORTS: Flag = Flag::value("istio-outbound-ports", "PORTS")
    .short('q')
    .help("Outbound ports and ranges to redirect, comma-separated, for any destination");

pub(crate) static EXCLUDE_INTERFACES: Flag = Flag::value("istio-exclude-interfaces", "NAMES")
    .short('c')
    .help("Interfaces to exclude, comma-separated");

pub(crate) static REROUTE_INTERFACES: Flag = Flag::value("kube-virt-interfaces", "NAMES")
    .short('k')
    .help("Virtual interfaces, comma-separated, whose inbound traffic is treated as outbound");

pub(crate) static INTERCEPTION_MODE: Flag = Flag::value("istio-inbound-interception-mode", "MODE")
    .short('m')
    .help("REDIRECT (also if empty), or TPROXY, which keeps source addresses");

pub(crate) static TPROXY_MARK: Flag = Flag::value("istio-inbound-tproxy-mark", "MARK")
    .short('t')
    .default("1337")
    .help("Packet mark of mode TPROXY; no effect in mode REDIRECT");

pub(crate) static TPROXY_TABLE: Flag = Flag::value("istio-inbound-tproxy-route-table", "TABLE")
    .short('r')
    .default("133")
    .help("Routing table of mode TPROXY; no effect in mode REDIRECT");

pub(crate) static DROP_INVALID: Flag = Flag::switch("drop-invalid")
    .or_variables(&["INVALID_DROP"])
    .help("Drop packets that conntrack considers invalid");

pub(crate) static DUAL_STACK: Flag = Flag::switch("dual-stack")
    .or_variables(&["ISTIO_DUAL_STACK", "ISTIO_AGENT_DUAL_STACK"])
    .help("Also apply IPv6 rules if the namespace has an IPv6 address");

pub(crate) static RULESET: Flag = Flag::value("ruleset", "NAME")
    .default("asm")
    .help("Rule set: asm (the documented dump), or istio (as current Istio)");

pub(crate) static NETWORK_NAMESPACE: Flag = Flag::value("network-namespace", "PATH")
    .help("Network namespace in which to apply the rules [default: the caller's]");

pub(crate) static DRY_RUN: Flag = Flag::switch("dry-run")
    .short('n')
    .help("Print the input of iptables-restore, IPv4 then IPv6, without changes");

pub(crate) static SKIP_RULE_APPLY: Flag = Flag::switch("skip-rule-apply")
    .help("Check the settings without changes; --run-validation still runs");

pub(crate) static CLEANUP_ONLY: Flag =
    Flag::switch("cleanup-only").help("Remove the rules; prints nothing if there are none");

pub(crate) static RECONCILE: Flag = Flag::switch("reconcile")
    .help("Accepted for compatibility: older rules are always compared and replaced");

pub(crate) static FORCE_APPLY: Flag = Flag::switch("force-apply")
    .help("Accepted for compatibility: rules that differ are always replaced");

pub(crate) static CNI_MODE: Flag = Flag::switch("cni-mode")
    .help("Accepted for compatibility: the rules are the same in both modes");

pub(crate) static FORCE_IPTABLES_BINARY: Flag = Flag::value("force-iptables-binary", "NAME").help("Require iptables-nft (nft) or iptables-legacy (legacy) [default: the first back end that works]");

pub(crate) static PROBE_PORT: Flag = Flag::value("iptables-probe-port", "PORT")
    .default("15002")
    .help("Port to which --run-validation connects; no effect without it");

pub(crate) static PROBE_TIMEOUT: Flag = Flag::value("probe-timeout", "DURATION")
    .default("5s")
    .help("Timeout of --run-validation; no effect without it");

pub(crate) static RUN_VALIDATION: Flag = Flag::switch("run-validation")
    .help("Check with a connection that the rules redirect; exit code 126 if they do not");

pub(crate) static REDIRECT_DNS: Flag = Flag::switch("redirect-dns")
    .or_variables(&["ISTIO_META_DNS_CAPTURE"])
    .help("Redirect DNS queries for the servers in /etc/resolv.conf to the proxy");

pub(crate) static CAPTURE_ALL_DNS: Flag =
    Flag::switch("capture-all-dns").help("With --redirect-dns: redirect queries for any server");

pub(crate) static NATIVE_NFTABLES: Flag = Flag::switch("native-nftables").help(
    "Write native nf_tables rules in separate tables, without iptables (back end nft-native)",
);

// Flags of older versions of Istio, which their injected containers still have.
static RESTORE_FORMAT: Flag = Flag::switch("restore-format")
    .short('f')
    .help("Accepted for compatibility: --dry-run always prints the input of iptables-restore");

static TRACE_LOGGING: Flag = Flag::switch("iptables-trace-logging")
    .help("Accepted for compatibility, no effect: no rules are written that log packets");

static HOST_NSENTER_EXEC: Flag = Flag::switch("host-nsenter-exec")
    .help("Accepted for compatibility: namespaces are entered without nsenter");

static IPTABLES_VERSION: Flag = Flag::value("iptables-version", "VERSION")
    .help("Accepted for compatibility, no effect: versions are not needed");

static LOG_OUTPUT_LEVEL: Flag = Flag::value("log_output_level", "LEVELS").help(ACCEPTED_LOG);

static LOG_AS_JSON: Flag = Flag::switch("log_as_json").help(ACCEPTED_LOG);

static LOG_TARGET: Flag = Flag::value("log_target", "PATHS").help(ACCEPTED_LOG);

static LOG_CALLER: Flag = Flag::value("log_caller", "SCOPES").help(ACCEPTED_LOG);

static LOG_STACKTRACE_LEVEL: Flag =
    Flag::value("log_stacktrace_level", "LEVELS").help(ACCEPTED_LOG);

static LOG_ROTATE: Flag = Flag::value("log_rotate", "PATH").help(ACCEPTED_LOG);

static LOG_ROTATE_MAX_AGE: Flag = Flag::value("log_rotate_max_age", "DAYS").help(ACCEPTED_LOG);

static LOG_ROTATE_MAX_BACKUPS: Flag =
    Flag::value("log_rotate_max_backups", "COUNT").help(ACCEPTED_LOG);

static LOG_ROTATE_MAX_SIZE: Flag =
    Flag::value("log_rotate_max_size", "MEGABYTES").help(ACCEPTED_LOG);
