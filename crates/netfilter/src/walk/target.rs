//! What a target does to a packet, and where the walk goes on.

use super::fate::Unjudged;
use super::host::Host;
use super::step::Effect;
use super::traveller::Traveller;
use crate::ruleset::{BuiltinChain, ChainName, Mark, TableName, Target};
use crate::value::Port;

/// Targets of others that change nothing and let the packet go on.
const OBSERVERS: [&str; 2] = ["LOG", "NFLOG"];

/// Where the walk goes on.
pub(super) enum Next {
    /// With the next rule, in a chain that was jumped to if there was one.
    Rule,
    /// Behind the rule that jumped here.
    Return,
    /// In the next table.
    Table,
    /// Nowhere.
    Drop,
}

/// Which of the kernel's chains, of which table, is being walked.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) table: TableName,
    pub(super) hook: BuiltinChain,
}

/// Carries out a target: the effect on the packet, and where it goes next. `enter` opens a chain.
pub(super) fn carry_out(
    target: &Target,
    packet: &mut Traveller,
    at: At,
    host: &Host,
    enter: impl FnOnce(&ChainName) -> Result<(), Unjudged>,
) -> Result<(Effect, Next), Unjudged> {
    let done = match target {
        Target::Return => (Effect::Returned, Next::Return),
        Target::Accept => (Effect::Accepted, Next::Table),
        Target::Drop => (Effect::Dropped, Next::Drop),
        Target::Jump(chain) => {
            enter(chain)?;
            (Effect::Jumped(chain.clone()), Next::Rule)
        }
        Target::Redirect(port) => (redirect(*port, packet, at, host)?, Next::Table),
        Target::Tproxy { port, mark } => (hand_over(*port, *mark, packet, at)?, Next::Table),
        Target::SetMark(mark) => {
            packet.write_mark(*mark);
            (Effect::Marked(packet.mark), Next::Rule)
        }
        Target::SaveMark => (save_mark(packet), Next::Rule),
        Target::RestoreMark => (restore_mark(packet), Next::Rule),
        Target::ConntrackZone(zone) => (settle_zone(*zone, packet, at)?, Next::Rule),
        Target::Opaque(words) if observes(words) => (Effect::Observed, Next::Rule),
        Target::Opaque(words) => return Err(Unjudged::Target(words.clone())),
    };
    Ok(done)
}

/// Whether a target only looks: the packet goes on as it was, whether the rule matched or not.
pub(super) fn only_observes(target: &Target) -> bool {
    match target {
        Target::Opaque(words) => observes(words),
        Target::Return
        | Target::Accept
        | Target::Drop
        | Target::Jump(_)
        | Target::Redirect(_)
        | Target::Tproxy { .. }
        | Target::SetMark(_)
        | Target::SaveMark
        | Target::RestoreMark
        | Target::ConntrackZone(_) => false,
    }
}

fn observes(words: &str) -> bool {
    let mut words = words.split_whitespace();
    match (words.next(), words.next()) {
        (None, _) => true,
        (Some("-j"), Some(target)) => OBSERVERS.contains(&target),
        (Some(_), _) => false,
    }
}

fn redirect(port: Port, packet: &mut Traveller, at: At, host: &Host) -> Result<Effect, Unjudged> {
    let at_hook = matches!(at.hook, BuiltinChain::Prerouting | BuiltinChain::Output);
    if at.table != TableName::Nat || !at_hook {
        return Err(Unjudged::Misplaced);
    }
    let to = packet.redirection(at.hook, port, host);
    let to = to.map_err(Unjudged::NoAddress)?;
    packet.translate(to);
    Ok(Effect::Redirected(to))
}

fn hand_over(port: Port, mark: Mark, packet: &mut Traveller, at: At) -> Result<Effect, Unjudged> {
    if at.table != TableName::Mangle || at.hook != BuiltinChain::Prerouting {
        return Err(Unjudged::Misplaced);
    }
    packet.write_mark(mark);
    packet.listener = Some(port);
    let mark = packet.mark;
    Ok(Effect::Tproxied { port, mark })
}

fn save_mark(packet: &mut Traveller) -> Effect {
    if packet.has_connection() {
        packet.connmark = packet.mark;
        Effect::MarkSaved(packet.connmark)
    } else {
        Effect::NoConnection
    }
}

fn restore_mark(packet: &mut Traveller) -> Effect {
    if packet.has_connection() {
        packet.mark = packet.connmark;
        Effect::MarkRestored(packet.mark)
    } else {
        Effect::NoConnection
    }
}

/// `xt_CT` leaves a packet alone that has a connection already (it came over `lo`) or a template
/// of an earlier rule: the first rule wins.
fn settle_zone(zone: u16, packet: &mut Traveller, at: At) -> Result<Effect, Unjudged> {
    match at.table {
        TableName::Raw => {}
        TableName::Filter | TableName::Mangle | TableName::Nat => return Err(Unjudged::Misplaced),
    }
    if packet.has_connection() || packet.zone.is_some() {
        return Ok(Effect::ZoneSettled(packet.zone.unwrap_or(0)));
    }
    packet.zone = Some(zone);
    Ok(Effect::Zone(zone))
}
