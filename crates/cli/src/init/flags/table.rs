//! Every flag, in the order in which the help shows them.

use super::logging::{
    LOG_AS_JSON, LOG_CALLER, LOG_OUTPUT_LEVEL, LOG_ROTATE, LOG_ROTATE_MAX_AGE,
    LOG_ROTATE_MAX_BACKUPS, LOG_ROTATE_MAX_SIZE, LOG_STACKTRACE_LEVEL, LOG_TARGET,
};
use super::{Flag, Takes};

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

pub(crate) static ENVOY_PORT: Flag = Flag {
    long: "envoy-port",
    short: Some('p'),
    variable: None,
    takes: Takes::Value("PORT"),
    default: "15001",
    help: "Port on which the proxy accepts outbound connections",
};

pub(crate) static INBOUND_CAPTURE_PORT: Flag = Flag {
    long: "inbound-capture-port",
    short: Some('z'),
    variable: None,
    takes: Takes::Value("PORT"),
    default: "15006",
    help: "Port on which the proxy accepts inbound connections",
};

pub(crate) static INBOUND_TUNNEL_PORT: Flag = Flag {
    long: "inbound-tunnel-port",
    short: Some('e'),
    variable: None,
    takes: Takes::Value("PORT"),
    default: "15008",
    help: "Port on which the proxy accepts tunnelled connections; never redirected",
};

pub(crate) static PROXY_UID: Flag = Flag {
    long: "proxy-uid",
    short: Some('u'),
    variable: None,
    takes: Takes::Value("UIDS"),
    default: "1337",
    help: "User IDs of the proxy, comma-separated",
};

pub(crate) static PROXY_GID: Flag = Flag {
    long: "proxy-gid",
    short: Some('g'),
    variable: None,
    takes: Takes::Value("GIDS"),
    default: "",
    help: "Group IDs of the proxy, comma-separated [default: as --proxy-uid]",
};

pub(crate) static INBOUND_PORTS: Flag = Flag {
    long: "istio-inbound-ports",
    short: Some('b'),
    variable: None,
    takes: Takes::Value("PORTS"),
    default: "",
    help: "Inbound ports to redirect, comma-separated, or `*`; empty: none",
};

pub(crate) static EXCLUDE_INBOUND_PORTS: Flag = Flag {
    long: "istio-local-exclude-ports",
    short: Some('d'),
    variable: None,
    takes: Takes::Value("PORTS"),
    default: "",
    help: "Inbound ports to exclude, comma-separated, if all are redirected",
};

pub(crate) static SERVICE_CIDR: Flag = Flag {
    long: "istio-service-cidr",
    short: Some('i'),
    variable: None,
    takes: Takes::Value("CIDRS"),
    default: "",
    help: "Destinations to redirect, comma-separated, or `*`; empty: none",
};

pub(crate) static EXCLUDE_SERVICE_CIDR: Flag = Flag {
    long: "istio-service-exclude-cidr",
    short: Some('x'),
    variable: None,
    takes: Takes::Value("CIDRS"),
    default: "",
    help: "Destinations to exclude, comma-separated",
};

pub(crate) static EXCLUDE_OUTBOUND_PORTS: Flag = Flag {
    long: "istio-local-outbound-ports-exclude",
    short: Some('o'),
    variable: None,
    takes: Takes::Value("PORTS"),
    default: "",
    help: "Outbound ports to exclude, comma-separated",
};

pub(crate) static OUTBOUND_PORTS: Flag = Flag {
    long: "istio-outbound-ports",
    short: Some('q'),
    variable: None,
    takes: Takes::Value("PORTS"),
    default: "",
    help: "Outbound ports to redirect, comma-separated, for any destination",
};

pub(crate) static EXCLUDE_INTERFACES: Flag = Flag {
    long: "istio-exclude-interfaces",
    short: Some('c'),
    variable: None,
    takes: Takes::Value("NAMES"),
    default: "",
    help: "Interfaces to exclude, comma-separated",
};

pub(crate) static REROUTE_INTERFACES: Flag = Flag {
    long: "kube-virt-interfaces",
    short: Some('k'),
    variable: None,
    takes: Takes::Value("NAMES"),
    default: "",
    help: "Virtual interfaces, comma-separated, whose inbound traffic is treated as outbound",
};

pub(crate) static INTERCEPTION_MODE: Flag = Flag {
    long: "istio-inbound-interception-mode",
    short: Some('m'),
    variable: None,
    takes: Takes::Value("MODE"),
    default: "",
    help: "REDIRECT (also if empty), or TPROXY, which keeps source addresses",
};

pub(crate) static TPROXY_MARK: Flag = Flag {
    long: "istio-inbound-tproxy-mark",
    short: Some('t'),
    variable: None,
    takes: Takes::Value("MARK"),
    default: "1337",
    help: "Packet mark of mode TPROXY; no effect in mode REDIRECT",
};

pub(crate) static TPROXY_TABLE: Flag = Flag {
    long: "istio-inbound-tproxy-route-table",
    short: Some('r'),
    variable: None,
    takes: Takes::Value("TABLE"),
    default: "133",
    help: "Routing table of mode TPROXY; no effect in mode REDIRECT",
};

pub(crate) static DROP_INVALID: Flag = Flag {
    long: "drop-invalid",
    short: None,
    variable: Some("INVALID_DROP"),
    takes: Takes::Switch,
    default: "",
    help: "Drop packets that conntrack considers invalid",
};

pub(crate) static DUAL_STACK: Flag = Flag {
    long: "dual-stack",
    short: None,
    variable: Some("ISTIO_DUAL_STACK"),
    takes: Takes::Switch,
    default: "",
    help: "Also apply IPv6 rules if the namespace has an IPv6 address",
};

pub(crate) static RULESET: Flag = Flag {
    long: "ruleset",
    short: None,
    variable: None,
    takes: Takes::Value("NAME"),
    default: "asm",
    help: "Rule set: asm (the documented dump), or istio (as current Istio)",
};

pub(crate) static NETWORK_NAMESPACE: Flag = Flag {
    long: "network-namespace",
    short: None,
    variable: None,
    takes: Takes::Value("PATH"),
    default: "",
    help: "Network namespace in which to apply the rules [default: the caller's]",
};

pub(crate) static DRY_RUN: Flag = Flag {
    long: "dry-run",
    short: Some('n'),
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Print the input of iptables-restore, IPv4 then IPv6, without changes",
};

pub(crate) static SKIP_RULE_APPLY: Flag = Flag {
    long: "skip-rule-apply",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Check the settings without changes; --run-validation still runs",
};

pub(crate) static CLEANUP_ONLY: Flag = Flag {
    long: "cleanup-only",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Remove the rules; prints nothing if there are none",
};

pub(crate) static RECONCILE: Flag = Flag {
    long: "reconcile",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Accepted for compatibility: older rules are always compared and replaced",
};

pub(crate) static FORCE_APPLY: Flag = Flag {
    long: "force-apply",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Accepted for compatibility: rules that differ are always replaced",
};

pub(crate) static CNI_MODE: Flag = Flag {
    long: "cni-mode",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Accepted for compatibility: the rules are the same in both modes",
};

pub(crate) static FORCE_IPTABLES_BINARY: Flag = Flag {
    long: "force-iptables-binary",
    short: None,
    variable: None,
    takes: Takes::Value("NAME"),
    default: "",
    help: "Require iptables-nft (nft) or iptables-legacy (legacy) [default: the first back end that works]",
};

pub(crate) static PROBE_PORT: Flag = Flag {
    long: "iptables-probe-port",
    short: None,
    variable: None,
    takes: Takes::Value("PORT"),
    default: "15002",
    help: "Port to which --run-validation connects; no effect without it",
};

pub(crate) static PROBE_TIMEOUT: Flag = Flag {
    long: "probe-timeout",
    short: None,
    variable: None,
    takes: Takes::Value("DURATION"),
    default: "5s",
    help: "Timeout of --run-validation; no effect without it",
};

pub(crate) static RUN_VALIDATION: Flag = Flag {
    long: "run-validation",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Check with a connection that the rules redirect; exit code 126 if they do not",
};

pub(crate) static REDIRECT_DNS: Flag = Flag {
    long: "redirect-dns",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Redirect DNS queries for the servers in /etc/resolv.conf to the proxy",
};

pub(crate) static CAPTURE_ALL_DNS: Flag = Flag {
    long: "capture-all-dns",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "With --redirect-dns: redirect queries for any server",
};

pub(crate) static NATIVE_NFTABLES: Flag = Flag {
    long: "native-nftables",
    short: None,
    variable: None,
    takes: Takes::Switch,
    default: "",
    help: "Write native nf_tables rules in separate tables, without iptables (back end nft-native)",
};
