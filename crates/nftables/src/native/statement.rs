//! Conditions and targets in the language of `nft`.

use std::fmt;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{
    BuiltinChain, ConntrackState, Family, Mark, Match, Protocol, RejectWith, Sense, Target,
};
use mesh_cni_netfilter::value::{InterfaceName, PortRange};

use crate::condition::{NO_INTERFACE, has_only_upper_bound, in_order, state_bits};
use crate::object::Hook;
use crate::uapi::netfilter::ipv4::{
    NF_IP_PRI_FILTER, NF_IP_PRI_MANGLE, NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC, NF_IP_PRI_RAW,
};

/// The header that contains the ports.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    /// The header of the protocol that the rule requires; its name implies the protocol.
    Of(Protocol),
    /// The header of any protocol: TCP and UDP start with the ports.
    Any,
}

impl Transport {
    /// The header in which a rule with these conditions compares ports.
    pub(super) fn of(matches: &[Match]) -> Self {
        let protocol = matches.iter().find_map(|condition| match condition {
            Match::Protocol(Sense::Is, protocol) => Some(*protocol),
            _ => None,
        });
        let conditions = matches.iter().filter(|condition| !condition.always_holds());
        let compares_header = conditions.into_iter().any(|condition| {
            matches!(
                condition,
                Match::SourcePort(..)
                    | Match::DestinationPort(..)
                    | Match::DestinationPorts(..)
                    | Match::TcpSyn(..)
                    | Match::Icmpv6Type(..)
            )
        });
        protocol
            .filter(|_| compares_header)
            .map_or(Self::Any, Self::Of)
    }

    fn implies(self, protocol: Protocol) -> bool {
        matches!(self, Self::Of(implied) if implied == protocol)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Of(protocol) => protocol.as_str(),
            Self::Any => "th",
        })
    }
}

/// The conditions of a rule in the order of its expressions; `None` if `nft` has no equivalent.
pub(super) fn conditions<'rule>(
    family: Family,
    matches: impl IntoIterator<Item = &'rule Match>,
    transport: Transport,
) -> Option<Vec<String>> {
    in_order(matches)
        .into_iter()
        .map(|condition| self::condition(family, condition, transport))
        .filter(|text| text.as_ref().is_none_or(|text| !text.is_empty()))
        .collect()
}

/// The statements of a target; `None` if `nft` has no equivalent.
pub(super) fn target(target: &Target) -> Option<Vec<String>> {
    let statements = match target {
        Target::Return => vec!["return".to_owned()],
        Target::Accept => vec!["accept".to_owned()],
        Target::Drop => vec!["drop".to_owned()],
        Target::Jump(chain) => vec![format!("jump {chain}")],
        Target::Reject(RejectWith::TcpReset) => vec!["reject with tcp reset".to_owned()],
        Target::Reject(RejectWith::Icmpv6AdminProhibited) => {
            vec!["reject with icmpv6 admin-prohibited".to_owned()]
        }
        Target::Redirect(port) => vec![format!("redirect to :{port}")],
        Target::Tproxy { port, mark } => vec![
            format!("tproxy to :{port}"),
            set_mark("meta mark", *mark),
            "accept".to_owned(),
        ],
        Target::SetMark(mark) => vec![set_mark("meta mark", *mark)],
        Target::SetConnmark(mark) => vec![set_mark("ct mark", *mark)],
        Target::SaveMark => vec!["ct mark set meta mark".to_owned()],
        Target::RestoreMark => vec!["meta mark set ct mark".to_owned()],
        Target::ConntrackZone(zone) => vec![format!("ct zone set {zone}")],
        Target::Log { prefix, level } => vec![log(prefix, *level)?],
        Target::Opaque(text) if text.is_empty() => Vec::new(),
        Target::Opaque(_) => return None,
    };
    Some(statements)
}

/// Without the default level, like `nft`.
fn log(prefix: &str, level: u8) -> Option<String> {
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
    ];
    let prefix = match prefix {
        "" => String::new(),
        prefix => format!(" prefix {}", quoted(prefix)?),
    };
    let level = match level {
        Target::DEFAULT_LOG_LEVEL => String::new(),
        level => format!(" level {}", LEVELS.get(usize::from(level))?),
    };
    Some(format!("log{prefix}{level}"))
}

/// The comment at the end of a rule; `None` for one that `nft` cannot parse.
pub(super) fn comment(text: &str) -> Option<String> {
    /// libnftnl's `NFTNL_UDATA_COMMENT_MAXLEN`
    const MAX_LENGTH: usize = 128;
    let text = Some(text).filter(|text| text.len() <= MAX_LENGTH)?;
    Some(format!("comment {}", quoted(text)?))
}

/// A text in quotes; `None` for one that `nft` cannot parse: it has no escapes, and `$` begins a
/// variable.
fn quoted(text: &str) -> Option<String> {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '"' | '$');
    text.chars().all(is_plain).then(|| format!("\"{text}\""))
}

/// The priority of a hook, by `nft`'s name if the hook has one for it.
pub(super) fn priority(hook: Hook) -> String {
    let name = match (hook.priority, hook.at) {
        (NF_IP_PRI_RAW, _) => "raw",
        (NF_IP_PRI_MANGLE, _) => "mangle",
        (NF_IP_PRI_NAT_DST, BuiltinChain::Prerouting) => "dstnat",
        (NF_IP_PRI_FILTER, _) => "filter",
        (NF_IP_PRI_NAT_SRC, BuiltinChain::Postrouting) => "srcnat",
        (number, _) => return number.to_string(),
    };
    name.to_owned()
}

/// The header that contains the addresses.
pub(super) fn header(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// A range, or only the address if it contains one.
pub(super) fn network(network: &IpNetwork) -> String {
    let bits = match Family::of(network) {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    if network.prefix() == bits {
        network.network().to_string()
    } else {
        format!("{}/{}", network.network(), network.prefix())
    }
}

/// Empty for a condition that always holds, or that another one implies.
fn condition(family: Family, condition: &Match, transport: Transport) -> Option<String> {
    if condition.always_holds() {
        return Some(String::new());
    }
    let text = match condition {
        Match::InInterface(sense, name) => interface("iifname", *sense, name),
        Match::OutInterface(sense, name) => interface("oifname", *sense, name),
        Match::Protocol(Sense::Is, protocol) if transport.implies(*protocol) => String::new(),
        Match::Protocol(sense, protocol) => {
            format!("meta l4proto {}{}", not(*sense), protocol.as_str())
        }
        Match::Source(sense, range) => address(family, "saddr", *sense, range),
        Match::Destination(sense, range) => address(family, "daddr", *sense, range),
        Match::SourcePort(sense, ports) => {
            format!("{transport} sport {}", compared(*sense, *ports))
        }
        Match::DestinationPort(sense, ports) => {
            format!("{transport} dport {}", compared(*sense, *ports))
        }
        Match::DestinationPorts(sense, ports) => {
            format!("{transport} dport {}{}", not(*sense), port_set(ports))
        }
        Match::TcpSyn(sense) => format!("tcp flags {}syn / fin,syn,rst,ack", not(*sense)),
        Match::Icmpv6Type(sense, number) => {
            format!("icmpv6 type {}{}", not(*sense), icmpv6_type(*number))
        }
        Match::OwnerUid(sense, users) => format!("meta skuid {}{users}", not(*sense)),
        Match::OwnerGid(sense, groups) => format!("meta skgid {}{groups}", not(*sense)),
        Match::Mark(sense, mark) => masked("meta mark", *sense, *mark),
        Match::Connmark(sense, mark) => masked("ct mark", *sense, *mark),
        Match::ConntrackState(sense, states) => conntrack_state(*sense, states),
        // The end of the rule.
        Match::Comment(_) => String::new(),
        Match::Opaque(_) => return None,
    };
    Some(text)
}

fn not(sense: Sense) -> &'static str {
    match sense {
        Sense::Is => "",
        Sense::IsNot => "!= ",
    }
}

/// A name, or a prefix that ends with `*`; an empty prefix always matches.
fn interface(key: &str, sense: Sense, name: &InterfaceName) -> String {
    match (name.as_str().strip_suffix('+'), sense) {
        (Some(""), Sense::Is) => String::new(),
        (Some(""), Sense::IsNot) => format!("{key} \"{NO_INTERFACE}\""),
        (Some(prefix), sense) => format!("{key} {}\"{prefix}*\"", not(sense)),
        (None, sense) => format!("{key} {}\"{name}\"", not(sense)),
    }
}

fn address(family: Family, side: &str, sense: Sense, range: &IpNetwork) -> String {
    let header = header(family);
    format!("{header} {side} {}{}", not(sense), network(range))
}

/// The name that `nft` prints for the type of an `ICMPv6` message.
fn icmpv6_type(number: u8) -> String {
    let name = match number {
        1 => "destination-unreachable",
        2 => "packet-too-big",
        3 => "time-exceeded",
        4 => "parameter-problem",
        130 => "mld-listener-query",
        131 => "mld-listener-report",
        132 => "mld-listener-done",
        133 => "nd-router-solicit",
        134 => "nd-router-advert",
        135 => "nd-neighbor-solicit",
        136 => "nd-neighbor-advert",
        137 => "nd-redirect",
        143 => "mld2-listener-report",
        _ => return number.to_string(),
    };
    name.to_owned()
}

/// A port, or a range of ports.
pub(super) fn ports(range: PortRange) -> String {
    range.to_string().replace(':', "-")
}

fn compared(sense: Sense, range: PortRange) -> String {
    if !has_only_upper_bound(range) {
        return format!("{}{}", not(sense), ports(range));
    }
    let operator = match sense {
        Sense::Is => "<=",
        Sense::IsNot => ">",
    };
    format!("{operator} {}", range.last())
}

fn port_set(list: &[PortRange]) -> String {
    let mut list = list.to_vec();
    list.sort_unstable();
    let list: Vec<_> = list.into_iter().map(ports).collect();
    format!("{{ {} }}", list.join(", "))
}

fn masked(key: &str, sense: Sense, mark: Mark) -> String {
    let value = format!("{:#010x}", mark.value);
    if mark.mask == u32::MAX {
        return format!("{key} {}{value}", not(sense));
    }
    let comparison = match sense {
        Sense::Is => "==",
        Sense::IsNot => "!=",
    };
    format!("{key} & {:#010x} {comparison} {value}", mark.mask)
}

/// The states in the order of their bits, like `nft`.
fn conntrack_state(sense: Sense, states: &[ConntrackState]) -> String {
    let mut states = states.to_vec();
    states.sort_by_key(|state| state_bits(&[*state]));
    let names: Vec<_> = states
        .iter()
        .map(|state| state.as_str().to_lowercase())
        .collect();
    match sense {
        Sense::Is => format!("ct state {}", names.join(",")),
        Sense::IsNot => format!("ct state & ({}) == 0", names.join(" | ")),
    }
}

/// Sets the bits of a mask and keeps the others.
fn set_mark(key: &str, mark: Mark) -> String {
    let set = format!("{:#010x}", mark.value);
    if mark.mask == u32::MAX {
        format!("{key} set {set}")
    } else {
        format!("{key} set {key} & {:#010x} ^ {set}", !mark.mask)
    }
}
