//! Conditions and targets in the language of `nft`.

use std::fmt;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{
    BuiltinChain, ConntrackState, Family, Mark, Match, Protocol, Sense, Target,
};
use mesh_cni_netfilter::value::{InterfaceName, Port};

use super::encode::state_bit;
use crate::condition::in_order;
use crate::object::Hook;

/// The header in which ports are looked for.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    /// That of a protocol which the rule asks for; naming it says so.
    Of(Protocol),
    /// Whichever comes: TCP and UDP begin alike.
    Any,
}

impl Transport {
    /// Where a rule with these conditions looks for ports.
    pub(super) fn of(matches: &[Match]) -> Self {
        let protocol = matches.iter().find_map(|condition| match condition {
            Match::Protocol(Sense::Is, protocol) => Some(*protocol),
            _ => None,
        });
        let has_port = matches.iter().any(is_port);
        protocol.filter(|_| has_port).map_or(Self::Any, Self::Of)
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

/// The conditions of a rule in the order of its expressions; `None` where one has no words.
pub(super) fn conditions(
    family: Family,
    matches: &[&Match],
    transport: Transport,
) -> Option<Vec<String>> {
    let words = in_order(matches).into_iter();
    let words = words.map(|condition| self::condition(family, condition, transport));
    let words: Vec<_> = words.collect::<Option<_>>()?;
    Some(
        words
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect(),
    )
}

/// What a rule does, one statement each; `None` where there are no words for it.
pub(super) fn target(target: &Target) -> Option<Vec<String>> {
    let statements = match target {
        Target::Return => vec!["return".to_owned()],
        Target::Accept => vec!["accept".to_owned()],
        Target::Drop => vec!["drop".to_owned()],
        Target::Jump(chain) => vec![format!("jump {chain}")],
        Target::Redirect(port) => vec![format!("redirect to :{port}")],
        Target::Tproxy { port, mark } => vec![
            format!("tproxy to :{port}"),
            set_mark(*mark),
            "accept".to_owned(),
        ],
        Target::SetMark(mark) => vec![set_mark(*mark)],
        Target::SaveMark => vec!["ct mark set meta mark".to_owned()],
        Target::RestoreMark => vec!["meta mark set ct mark".to_owned()],
        Target::ConntrackZone(zone) => vec![format!("ct zone set {zone}")],
        Target::Opaque(words) if words.is_empty() => Vec::new(),
        Target::Opaque(_) => return None,
    };
    Some(statements)
}

/// The priority of a hook, by `nft`'s name for it where it has one there.
pub(super) fn priority(hook: Hook) -> String {
    let name = match (hook.priority, hook.at) {
        (-300, _) => "raw",
        (-150, _) => "mangle",
        (-100, BuiltinChain::Prerouting) => "dstnat",
        (0, _) => "filter",
        (100, BuiltinChain::Postrouting) => "srcnat",
        (number, _) => return number.to_string(),
    };
    name.to_owned()
}

/// The header that holds the addresses.
pub(super) fn header(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// A range, or the address alone where it has but one.
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

/// Empty where the condition is said by another one, or says nothing.
fn condition(family: Family, condition: &Match, transport: Transport) -> Option<String> {
    if condition.is_anywhere() {
        return Some(String::new());
    }
    let words = match condition {
        Match::InInterface(sense, name) => interface("iifname", *sense, name),
        Match::OutInterface(sense, name) => interface("oifname", *sense, name),
        Match::Protocol(Sense::Is, protocol) if transport.names(*protocol) => String::new(),
        Match::Protocol(sense, protocol) => {
            format!("meta l4proto {}{}", not(*sense), protocol.as_str())
        }
        Match::Source(sense, range) => address(family, "saddr", *sense, range),
        Match::Destination(sense, range) => address(family, "daddr", *sense, range),
        Match::SourcePort(sense, port) => format!("{transport} sport {}{port}", not(*sense)),
        Match::DestinationPort(sense, port) => format!("{transport} dport {}{port}", not(*sense)),
        Match::DestinationPorts(sense, ports) => {
            format!("{transport} dport {}{}", not(*sense), port_set(ports))
        }
        Match::OwnerUid(sense, uid) => format!("meta skuid {}{}", not(*sense), uid.0),
        Match::OwnerGid(sense, gid) => format!("meta skgid {}{}", not(*sense), gid.0),
        Match::Mark(sense, mark) => masked("meta mark", *sense, *mark),
        Match::Connmark(sense, mark) => masked("ct mark", *sense, *mark),
        Match::ConntrackState(sense, states) => conntrack_state(*sense, states),
        Match::Comment(_) | Match::Opaque(_) => return None,
    };
    Some(words)
}

impl Transport {
    fn names(self, protocol: Protocol) -> bool {
        matches!(self, Self::Of(named) if named == protocol)
    }
}

fn is_port(condition: &Match) -> bool {
    matches!(
        condition,
        Match::SourcePort(..) | Match::DestinationPort(..) | Match::DestinationPorts(..)
    )
}

fn not(sense: Sense) -> &'static str {
    match sense {
        Sense::Is => "",
        Sense::IsNot => "!= ",
    }
}

/// Every name is no condition; none can be `INVAL/D`, with which iptables asks for no interface.
fn interface(key: &str, sense: Sense, name: &InterfaceName) -> String {
    match (name.as_str().strip_suffix('+'), sense) {
        (Some(""), Sense::Is) => String::new(),
        (Some(""), Sense::IsNot) => format!("{key} \"INVAL/D\""),
        (Some(prefix), sense) => format!("{key} {}\"{prefix}*\"", not(sense)),
        (None, sense) => format!("{key} {}\"{name}\"", not(sense)),
    }
}

fn address(family: Family, side: &str, sense: Sense, range: &IpNetwork) -> String {
    let header = header(family);
    format!("{header} {side} {}{}", not(sense), network(range))
}

fn port_set(ports: &[Port]) -> String {
    let mut ports: Vec<_> = ports.iter().map(|port| port.get()).collect();
    ports.sort_unstable();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("{{ {} }}", ports.join(", "))
}

fn masked(key: &str, sense: Sense, mark: Mark) -> String {
    let asked = format!("{:#010x}", mark.value);
    if mark.mask == u32::MAX {
        return format!("{key} {}{asked}", not(sense));
    }
    let comparison = match sense {
        Sense::Is => "==",
        Sense::IsNot => "!=",
    };
    format!("{key} & {:#010x} {comparison} {asked}", mark.mask)
}

/// The states in the order of their bits, which is `nft`'s.
fn conntrack_state(sense: Sense, states: &[ConntrackState]) -> String {
    let mut states = states.to_vec();
    states.sort_by_key(|state| state_bit(*state));
    let names: Vec<_> = states
        .iter()
        .map(|state| state.as_str().to_lowercase())
        .collect();
    match sense {
        Sense::Is => format!("ct state {}", names.join(",")),
        Sense::IsNot => format!("ct state & ({}) == 0", names.join(" | ")),
    }
}

/// Bits outside the mask stay.
fn set_mark(mark: Mark) -> String {
    let set = format!("{:#010x}", mark.value);
    if mark.mask == u32::MAX {
        format!("meta mark set {set}")
    } else {
        format!("meta mark set meta mark & {:#010x} ^ {set}", !mark.mask)
    }
}
