//! What a target does to a packet, and where the walk continues.

use super::netns_addresses::NetnsAddresses;
use super::outcome::UndecidedReason;
use super::packet_state::PacketState;
use super::step::Effect;
use crate::ruleset::{BuiltinChain, ChainName, Mark, Protocol, RejectWith, TableName, Target};
use crate::value::Port;

/// Opaque targets that only log.
const LOGGING: [&str; 2] = ["LOG", "NFLOG"];

/// Where the walk continues.
pub(super) enum Next {
    /// With the next rule; after a jump, in the target chain.
    Rule,
    /// After the rule that jumped here.
    Return,
    /// In the next table.
    Table,
    /// Nowhere.
    Drop,
    /// Nowhere, and its sender gets this answer.
    Reject(RejectWith),
}

/// The built-in chain that is being traversed.
#[derive(Clone, Copy)]
pub(super) struct Hook {
    pub(super) table: TableName,
    pub(super) chain: BuiltinChain,
}

/// Applies a target to the packet; `jump` opens a chain.
pub(super) fn apply(
    target: &Target,
    packet: &mut PacketState,
    hook: Hook,
    addresses: &NetnsAddresses,
    jump: impl FnOnce(&ChainName) -> Result<(), UndecidedReason>,
) -> Result<(Effect, Next), UndecidedReason> {
    Ok(match target {
        Target::Return => (Effect::Returned, Next::Return),
        Target::Accept => (Effect::Accepted, Next::Table),
        Target::Drop => (Effect::Dropped, Next::Drop),
        Target::Reject(with) => (reject(*with, packet, hook)?, Next::Reject(*with)),
        Target::Jump(chain) => {
            jump(chain)?;
            (Effect::Jumped(chain.clone()), Next::Rule)
        }
        Target::Redirect(port) => (redirect(*port, packet, hook, addresses)?, Next::Table),
        Target::Tproxy { port, mark } => (tproxy(*port, *mark, packet, hook)?, Next::Table),
        Target::SetMark(mark) => {
            packet.set_mark(*mark);
            (Effect::MarkSet(packet.mark), Next::Rule)
        }
        Target::SetConnmark(mark) => (set_connmark(*mark, packet), Next::Rule),
        Target::SaveMark => (save_mark(packet), Next::Rule),
        Target::RestoreMark => (restore_mark(packet), Next::Rule),
        Target::ConntrackZone(zone) => (set_zone(*zone, packet, hook)?, Next::Rule),
        Target::Opaque(_) if has_no_effect(target) => (Effect::None, Next::Rule),
        Target::Opaque(text) => return Err(UndecidedReason::Target(text.clone())),
        Target::Log { .. } => (Effect::None, Next::Rule),
    })
}

/// Whether the packet continues unchanged, matched or not: the rule only counts or logs.
pub(super) fn has_no_effect(target: &Target) -> bool {
    let text = match target {
        Target::Log { .. } => return true,
        Target::Opaque(text) => text,
        _ => return false,
    };
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (None, _) => true,
        (Some("-j"), Some(target)) => LOGGING.contains(&target),
        (Some(_), _) => false,
    }
}

/// The kernel has `REJECT` only in the filter table, and the answers only for their protocols.
fn reject(with: RejectWith, packet: &PacketState, hook: Hook) -> Result<Effect, UndecidedReason> {
    let is_possible = match with {
        RejectWith::TcpReset => packet.protocol == Protocol::Tcp,
        RejectWith::Icmpv6AdminProhibited => packet.destination.is_ipv6(),
    };
    if hook.table != TableName::Filter || !is_possible {
        return Err(UndecidedReason::Misplaced);
    }
    Ok(Effect::Rejected(with))
}

fn redirect(
    port: Port,
    packet: &mut PacketState,
    hook: Hook,
    addresses: &NetnsAddresses,
) -> Result<Effect, UndecidedReason> {
    let allowed = matches!(hook.chain, BuiltinChain::Prerouting | BuiltinChain::Output);
    if hook.table != TableName::Nat || !allowed {
        return Err(UndecidedReason::Misplaced);
    }
    let to = packet
        .redirect_destination(hook.chain, port, addresses)
        .map_err(UndecidedReason::NoAddress)?;
    packet.translate(to);
    Ok(Effect::Redirected(to))
}

fn tproxy(
    port: Port,
    mark: Mark,
    packet: &mut PacketState,
    hook: Hook,
) -> Result<Effect, UndecidedReason> {
    if hook.table != TableName::Mangle || hook.chain != BuiltinChain::Prerouting {
        return Err(UndecidedReason::Misplaced);
    }
    packet.set_mark(mark);
    packet.listener = Some(port);
    let mark = packet.mark;
    Ok(Effect::Tproxied { port, mark })
}

fn set_connmark(mark: Mark, packet: &mut PacketState) -> Effect {
    if packet.has_connection() {
        packet.connmark = mark.written_to(packet.connmark);
        Effect::ConnmarkSet(packet.connmark)
    } else {
        Effect::NoConnection
    }
}

fn save_mark(packet: &mut PacketState) -> Effect {
    if packet.has_connection() {
        packet.connmark = packet.mark;
        Effect::MarkSaved(packet.connmark)
    } else {
        Effect::NoConnection
    }
}

fn restore_mark(packet: &mut PacketState) -> Effect {
    if packet.has_connection() {
        packet.mark = packet.connmark;
        Effect::MarkRestored(packet.mark)
    } else {
        Effect::NoConnection
    }
}

/// `xt_CT` ignores a packet that already has a connection (it arrived over `lo`) or the template
/// of an earlier rule: the first rule wins.
fn set_zone(zone: u16, packet: &mut PacketState, hook: Hook) -> Result<Effect, UndecidedReason> {
    if hook.table != TableName::Raw {
        return Err(UndecidedReason::Misplaced);
    }
    if packet.has_connection() || packet.zone.is_some() {
        return Ok(Effect::ZoneKept(packet.zone.unwrap_or(0)));
    }
    packet.zone = Some(zone);
    Ok(Effect::ZoneSet(zone))
}
