//! Whether a packet matches a rule's conditions, and which one it does not match.

use super::outcome::UndecidedReason;
use super::packet_state::PacketState;
use super::step::{Mismatch, PacketValue};
use crate::render::rule_spec;
use crate::ruleset::{Match, Protocol, Rule, Sense, Target};
use crate::value::InterfaceName;

/// The result of all conditions of a rule.
pub(super) enum RuleMatch {
    /// All hold.
    Matched,
    /// This one does not hold.
    NotMatched(Mismatch),
    /// All known ones hold, and one is unknown.
    Unknown(UndecidedReason),
}

/// Evaluates all conditions: one that does not hold decides, even if another one is unknown.
pub(super) fn evaluate(rule: &Rule, packet: &PacketState) -> RuleMatch {
    let mut unknown = None;
    for condition in &rule.matches {
        if let Some(text) = unknown_condition(condition, packet) {
            unknown = unknown.or(Some(text));
            continue;
        }
        if let Some(found) = mismatch(condition, packet) {
            let condition = condition.clone();
            return RuleMatch::NotMatched(Mismatch { condition, found });
        }
    }
    match unknown {
        Some(text) => RuleMatch::Unknown(UndecidedReason::Condition(text)),
        None => RuleMatch::Matched,
    }
}

/// The text of a condition that this crate cannot evaluate. The type of an `ICMPv6` message is not a part
/// of a packet here.
fn unknown_condition(condition: &Match, packet: &PacketState) -> Option<String> {
    match condition {
        Match::Opaque(text) => Some(text.clone()),
        Match::Icmpv6Type(..) if packet.protocol == Protocol::Icmpv6 => Some(rule_spec(
            &Rule::new([condition.clone()], Target::Opaque(String::new())),
        )),
        _ => None,
    }
}

/// The packet's value, if the condition does not hold.
fn mismatch(condition: &Match, packet: &PacketState) -> Option<PacketValue> {
    let (sense, equal, value) = match condition {
        Match::Source(sense, range) => {
            let address = packet.source.ip();
            (sense, range.contains(address), PacketValue::Source(address))
        }
        Match::Destination(sense, range) => {
            let address = packet.destination.ip();
            let value = PacketValue::Destination(address);
            (sense, range.contains(address), value)
        }
        Match::InInterface(sense, wanted) => {
            let found = packet.in_interface.clone();
            let equal = interface_matches(wanted, found.as_ref());
            (sense, equal, PacketValue::InInterface(found))
        }
        Match::OutInterface(sense, wanted) => {
            let found = packet.out_interface.clone();
            let equal = interface_matches(wanted, found.as_ref());
            (sense, equal, PacketValue::OutInterface(found))
        }
        Match::Protocol(sense, wanted) => {
            let found = packet.protocol;
            (sense, found == *wanted, PacketValue::Protocol(found))
        }
        Match::SourcePort(sense, wanted) => {
            let found = packet.source.port();
            let value = PacketValue::SourcePort(found);
            (sense, wanted.contains(found), value)
        }
        Match::DestinationPort(sense, wanted) => {
            let found = packet.destination.port();
            let value = PacketValue::DestinationPort(found);
            (sense, wanted.contains(found), value)
        }
        Match::TcpSyn(sense) => {
            let found = packet.opens_tcp_connection();
            (sense, found, PacketValue::TcpSyn(found))
        }
        Match::Icmpv6Type(..) => return Some(PacketValue::Protocol(packet.protocol)),
        Match::DestinationPorts(sense, wanted) => {
            let found = packet.destination.port();
            let equal = wanted.iter().any(|ports| ports.contains(found));
            (sense, equal, PacketValue::DestinationPort(found))
        }
        Match::OwnerUid(sense, wanted) => {
            let found = packet.owner.map(|owner| owner.uid);
            let equal = found.is_some_and(|uid| wanted.contains(uid));
            (sense, equal, PacketValue::OwnerUid(found))
        }
        Match::OwnerGid(sense, wanted) => {
            let found = packet.owner.map(|owner| owner.gid);
            let equal = found.is_some_and(|gid| wanted.contains(gid));
            (sense, equal, PacketValue::OwnerGid(found))
        }
        Match::Mark(sense, wanted) => {
            let found = packet.mark;
            (sense, wanted.matches(found), PacketValue::Mark(found))
        }
        // `xt_connmark` does not match without a connection, negated or not.
        Match::Connmark(..) if !packet.has_connection() => {
            return Some(PacketValue::Connmark(None));
        }
        Match::Connmark(sense, wanted) => {
            let found = packet.connmark;
            let value = PacketValue::Connmark(Some(found));
            (sense, wanted.matches(found), value)
        }
        Match::ConntrackState(sense, wanted) => {
            let found = packet.conntrack_state();
            (sense, wanted.contains(&found), PacketValue::State(found))
        }
        Match::Comment(_) | Match::Opaque(_) => return None,
    };
    (equal != (*sense == Sense::Is)).then_some(value)
}

/// A final `+` matches any ending; `+` alone also matches no interface.
fn interface_matches(wanted: &InterfaceName, found: Option<&InterfaceName>) -> bool {
    let found = found.map_or("", InterfaceName::as_str);
    match wanted.as_str().strip_suffix('+') {
        Some(beginning) => found.starts_with(beginning),
        None => found == wanted.as_str(),
    }
}
