//! The flags of linkerd2-proxy-init, in its order. No environment variable sets them.

use super::{Flag, Takes};

/// Every flag.
pub(crate) const FLAGS: &[&Flag] = &[
    &INCOMING_PROXY_PORT,
    &OUTGOING_PROXY_PORT,
    &PROXY_UID,
    &PROXY_GID,
    &PORTS_TO_REDIRECT,
    &INBOUND_PORTS_TO_IGNORE,
    &OUTBOUND_PORTS_TO_IGNORE,
    &SUBNETS_TO_IGNORE,
    &SIMULATE,
    &NETNS,
    &USE_WAIT_FLAG,
    &TIMEOUT_CLOSE_WAIT,
    &LOG_FORMAT,
    &LOG_LEVEL,
    &IPTABLES_MODE,
    &FIREWALL_BIN_PATH,
    &FIREWALL_SAVE_BIN_PATH,
    &IPV6,
    &CLEANUP_ONLY,
];

pub(crate) static INCOMING_PROXY_PORT: Flag = required("incoming-proxy-port")
    .short('p')
    .help("Port on which the proxy accepts inbound connections, usually 4143");

pub(crate) static OUTGOING_PROXY_PORT: Flag = required("outgoing-proxy-port")
    .short('o')
    .help("Port on which the proxy accepts outbound connections, usually 4140");

pub(crate) static PROXY_UID: Flag = value("proxy-uid", "UID")
    .short('u')
    .default("-1")
    .help("User ID of the proxy, whose traffic is not redirected; 0 and less: no rule");

pub(crate) static PROXY_GID: Flag = value("proxy-gid", "GID")
    .short('g')
    .default("-1")
    .help("Group ID of the proxy, whose traffic is not redirected; 0 and less: no rule");

pub(crate) static PORTS_TO_REDIRECT: Flag = list("ports-to-redirect", "PORTS")
    .short('r')
    .help("Inbound ports to redirect, comma-separated; repeatable [default: all]");

pub(crate) static INBOUND_PORTS_TO_IGNORE: Flag = list("inbound-ports-to-ignore", "PORTS")
    .help("Inbound ports and ranges such as 8000-8100 to exclude, comma-separated; repeatable");

pub(crate) static OUTBOUND_PORTS_TO_IGNORE: Flag = list("outbound-ports-to-ignore", "PORTS")
    .help("Outbound ports and ranges to exclude, comma-separated; repeatable");

pub(crate) static SUBNETS_TO_IGNORE: Flag = list("subnets-to-ignore", "CIDRS")
    .help("Sources whose inbound connections are not redirected, comma-separated; repeatable");

pub(crate) static SIMULATE: Flag =
    switch("simulate").help("Print the input of iptables-restore, IPv4 then IPv6, without changes");

pub(crate) static NETNS: Flag = value("netns", "PATH")
    .help("Network namespace in which to apply the rules [default: the caller's]");

pub(crate) static USE_WAIT_FLAG: Flag = switch("use-wait-flag")
    .short('w')
    .help("Accepted for compatibility: the back ends wait where they must");

pub(crate) static TIMEOUT_CLOSE_WAIT: Flag = value("timeout-close-wait-secs", "SECONDS")
    .default("0")
    .help("Set nf_conntrack_tcp_timeout_close_wait of the namespace; 0: unchanged");

pub(crate) static LOG_FORMAT: Flag = value("log-format", "FORMAT")
    .default("plain")
    .help("Accepted for compatibility, no effect: plain or json");

pub(crate) static LOG_LEVEL: Flag = value("log-level", "LEVEL")
    .default("info")
    .help("Accepted for compatibility, no effect: panic, fatal, error, warn, info, debug or trace");

pub(crate) static IPTABLES_MODE: Flag = value("iptables-mode", "MODE").help(
    "legacy requires iptables-legacy; nft and plain allow any back end [default: by --firewall-bin-path]",
);

pub(crate) static FIREWALL_BIN_PATH: Flag = value("firewall-bin-path", "NAME").help(
    "Selects the mode: iptables-legacy, iptables-nft or iptables (plain) [default: any back end]",
);

static FIREWALL_SAVE_BIN_PATH: Flag = value("firewall-save-bin-path", "NAME")
    .help("Accepted for compatibility, no effect: --firewall-bin-path selects the mode");

pub(crate) static IPV6: Flag = switch("ipv6").default("true").help("Also apply IPv6 rules");

pub(crate) static CLEANUP_ONLY: Flag = switch("cleanup-only").help(
    "Remove the rules; prints nothing if there are none. linkerd2-proxy-init has no such flag",
);

const fn value(long: &'static str, name: &'static str) -> Flag {
    Flag {
        reads_environment: false,
        ..Flag::value(long, name)
    }
}

const fn required(long: &'static str) -> Flag {
    Flag {
        required_unless: Some(CLEANUP_ONLY.long),
        ..value(long, "PORT")
    }
}

const fn list(long: &'static str, name: &'static str) -> Flag {
    Flag {
        takes: Takes::List(name),
        ..value(long, name)
    }
}

const fn switch(long: &'static str) -> Flag {
    Flag {
        takes: Takes::Switch,
        ..value(long, "")
    }
}
