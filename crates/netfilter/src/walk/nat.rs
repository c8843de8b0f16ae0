//! NAT at a hook: decided with the first packet of a connection, applied to the later ones.
//!
//! `nf_nat_core.c` traverses the nat table once for each side of a connection, and records a
//! decision even where no rule made one (the null binding). A packet that returns over `lo` keeps
//! its connection, so both sides are already decided: the destination at `OUTPUT`, the source at
//! `POSTROUTING`.

use super::outcome::Outcome;
use super::packet::Side;
use super::simulation::{Ended, Simulation};
use super::step::{Event, NatSkip, Walk};
use crate::ruleset::{BuiltinChain, ChainName, ConntrackState, TableName};

/// For which sides of a connection NAT is decided.
#[derive(Clone, Copy, Default)]
pub(super) struct NatDecided {
    destination: bool,
    source: bool,
}

impl NatDecided {
    /// Marks the side of that hook as decided, and returns whether it was before.
    fn decide(&mut self, hook: BuiltinChain) -> bool {
        let side = if translates_destination(hook) {
            &mut self.destination
        } else {
            &mut self.source
        };
        std::mem::replace(side, true)
    }
}

impl Simulation<'_> {
    /// The nat table at a hook, unless the kernel skips it.
    pub(super) fn nat(&mut self, hook: BuiltinChain) -> Result<(), Ended> {
        if !self.packet.has_connection() {
            self.skip_nat(hook, NatSkip::NoConnection);
        } else if self.nat_decided.decide(hook) {
            self.skip_nat(hook, NatSkip::DecidedOnFirstPass);
        } else if self.opens_connection() {
            self.table(TableName::Nat, hook)?;
        } else {
            self.apply_recorded(hook)?;
        }
        Ok(())
    }

    fn opens_connection(&self) -> bool {
        matches!(
            self.first.state,
            ConntrackState::New | ConntrackState::Related
        ) && self.first.side == Side::Original
    }

    /// Applies the translation that the connection's first packet got.
    fn apply_recorded(&mut self, hook: BuiltinChain) -> Result<(), Ended> {
        let recorded = if translates_destination(hook) {
            self.opening()?.and_then(|walk| walk.translated)
        } else {
            None
        };
        self.skip_nat(hook, NatSkip::LaterPacket(recorded));
        if let Some(to) = recorded {
            self.packet.translate(to);
        }
        Ok(())
    }

    /// The walk of the first packet of this one's connection; `None` if the other side opened it.
    pub(super) fn opening(&self) -> Result<Option<Walk>, Ended> {
        let mut opening = self.first.clone();
        if opening.side == Side::Reply {
            return Ok(None);
        }
        opening.state = ConntrackState::New;
        opening.connmark = 0;
        let walk = Simulation::new(self.rules, &opening, self.addresses).run();
        match walk.outcome {
            undecided @ Outcome::Undecided { .. } => Err(Ended(undecided)),
            _ => Ok(Some(walk)),
        }
    }

    /// Records that a chain with rules was skipped.
    fn skip_nat(&mut self, hook: BuiltinChain, reason: NatSkip) {
        let name = ChainName::from(hook);
        let rules = self.rules();
        let chain = rules.and_then(|rules| rules.chain(TableName::Nat, &name));
        if chain.is_some_and(|chain| !chain.rules.is_empty()) {
            self.record(TableName::Nat, &name, Event::NatSkipped(reason));
        }
    }
}

fn translates_destination(hook: BuiltinChain) -> bool {
    matches!(hook, BuiltinChain::Prerouting | BuiltinChain::Output)
}
