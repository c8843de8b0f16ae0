//! Whether a packet meets a rule's conditions, and which one it does not meet.

use super::fate::Unjudged;
use super::step::{Found, Mismatch};
use super::traveller::Traveller;
use crate::ruleset::{Mark, Match, Rule, Sense};
use crate::value::InterfaceName;

/// What the conditions of a rule come to.
pub(super) enum Judgement {
    /// All hold.
    Holds,
    /// This one does not.
    Fails(Mismatch),
    /// All that are known hold, and one is not known.
    Unknown(Unjudged),
}

/// Judges all conditions: one that fails decides, even beside one that is not known.
pub(super) fn judge(rule: &Rule, packet: &Traveller) -> Judgement {
    let mut unknown = None;
    for condition in &rule.matches {
        match look(condition, packet) {
            Look::Yes => {}
            Look::No(found) => {
                let condition = condition.clone();
                return Judgement::Fails(Mismatch { condition, found });
            }
            Look::Unknown(words) => unknown = unknown.or(Some(words)),
        }
    }
    match unknown {
        Some(words) => Judgement::Unknown(Unjudged::Condition(words)),
        None => Judgement::Holds,
    }
}

enum Look {
    Yes,
    No(Found),
    Unknown(String),
}

fn look(condition: &Match, packet: &Traveller) -> Look {
    match condition {
        Match::Source(sense, range) => {
            let address = packet.source.ip();
            ask(*sense, range.contains(address), Found::Source(address))
        }
        Match::Destination(sense, range) => {
            let address = packet.destination.ip();
            ask(*sense, range.contains(address), Found::Destination(address))
        }
        Match::InInterface(sense, wanted) => {
            let found = packet.in_interface.clone();
            ask(
                *sense,
                is_named(wanted, found.as_ref()),
                Found::InInterface(found),
            )
        }
        Match::OutInterface(sense, wanted) => {
            let found = packet.out_interface.clone();
            ask(
                *sense,
                is_named(wanted, found.as_ref()),
                Found::OutInterface(found),
            )
        }
        Match::Protocol(sense, wanted) => {
            let found = packet.protocol;
            ask(*sense, found == *wanted, Found::Protocol(found))
        }
        Match::SourcePort(sense, wanted) => {
            let found = packet.source.port();
            ask(*sense, found == wanted.get(), Found::SourcePort(found))
        }
        Match::DestinationPort(sense, wanted) => {
            let found = packet.destination.port();
            ask(*sense, found == wanted.get(), Found::DestinationPort(found))
        }
        Match::DestinationPorts(sense, wanted) => {
            let found = packet.destination.port();
            let holds = wanted.iter().any(|port| port.get() == found);
            ask(*sense, holds, Found::DestinationPort(found))
        }
        Match::OwnerUid(sense, wanted) => {
            let found = packet.owner.map(|owner| owner.uid);
            ask(*sense, found == Some(*wanted), Found::OwnerUid(found))
        }
        Match::OwnerGid(sense, wanted) => {
            let found = packet.owner.map(|owner| owner.gid);
            ask(*sense, found == Some(*wanted), Found::OwnerGid(found))
        }
        Match::Mark(sense, wanted) => {
            let found = packet.mark;
            ask(*sense, has_mark(found, *wanted), Found::Mark(found))
        }
        Match::Connmark(sense, wanted) => connmark(*sense, *wanted, packet),
        Match::ConntrackState(sense, wanted) => {
            let found = packet.seen_state();
            ask(*sense, wanted.contains(&found), Found::State(found))
        }
        Match::Comment(_) => Look::Yes,
        Match::Opaque(words) => Look::Unknown(words.clone()),
    }
}

fn ask(sense: Sense, holds: bool, found: Found) -> Look {
    match (sense, holds) {
        (Sense::Is, true) | (Sense::IsNot, false) => Look::Yes,
        (Sense::Is, false) | (Sense::IsNot, true) => Look::No(found),
    }
}

/// `xt_connmark` fails without a connection, negated or not.
fn connmark(sense: Sense, wanted: Mark, packet: &Traveller) -> Look {
    if packet.has_connection() {
        let found = packet.connmark;
        ask(sense, has_mark(found, wanted), Found::Connmark(Some(found)))
    } else {
        Look::No(Found::Connmark(None))
    }
}

fn has_mark(found: u32, wanted: Mark) -> bool {
    found & wanted.mask == wanted.value
}

/// A final `+` stands for any ending; `+` alone for no interface too.
fn is_named(wanted: &InterfaceName, found: Option<&InterfaceName>) -> bool {
    let found = found.map_or("", InterfaceName::as_str);
    match wanted.as_str().strip_suffix('+') {
        Some(beginning) => found.starts_with(beginning),
        None => found == wanted.as_str(),
    }
}
