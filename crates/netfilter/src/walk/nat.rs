//! NAT at a hook: asked with the first packet of a connection, followed by the later ones.
//!
//! `nf_nat_core.c` asks the nat table once for each side of a connection, and notes an answer even
//! where no rule gave one (the null binding). A packet that comes back over `lo` carries its
//! connection along and finds both sides settled: the destination at `OUTPUT`, the source at
//! `POSTROUTING`.

use super::fate::Fate;
use super::journey::{Journey, Stopped};
use super::packet::Side;
use super::step::{Event, NatSkip, Walk};
use crate::ruleset::{BuiltinChain, ChainName, ConntrackState, TableName};

/// Which sides of a connection the kernel has settled.
#[derive(Clone, Copy, Default)]
pub(super) struct Settled {
    destination: Answer,
    source: Answer,
}

#[derive(Clone, Copy, Default)]
enum Answer {
    #[default]
    Open,
    Given,
}

impl Settled {
    /// What a hook finds; afterwards its side is settled.
    fn settle(&mut self, hook: BuiltinChain) -> Answer {
        let side = if is_for_destination(hook) {
            &mut self.destination
        } else {
            &mut self.source
        };
        std::mem::replace(side, Answer::Given)
    }
}

impl Journey<'_> {
    /// The nat table at a hook, where the kernel asks it.
    pub(super) fn nat(&mut self, hook: BuiltinChain) -> Result<(), Stopped> {
        if !self.packet.has_connection() {
            self.skip_nat(hook, NatSkip::NoConnection);
            return Ok(());
        }
        match (self.settled.settle(hook), self.opens_connection()) {
            (Answer::Given, _) => self.skip_nat(hook, NatSkip::SettledBefore),
            (Answer::Open, true) => self.table(TableName::Nat, hook)?,
            (Answer::Open, false) => self.follow_record(hook)?,
        }
        Ok(())
    }

    fn opens_connection(&self) -> bool {
        let first = match self.first.state {
            ConntrackState::New | ConntrackState::Related => true,
            ConntrackState::Established | ConntrackState::Invalid => false,
        };
        first && self.first.side == Side::Original
    }

    /// What the connection's first packet was told holds for the later ones.
    fn follow_record(&mut self, hook: BuiltinChain) -> Result<(), Stopped> {
        let recorded = if is_for_destination(hook) {
            self.opening()?.and_then(|walk| walk.translated)
        } else {
            None
        };
        self.skip_nat(hook, NatSkip::Later(recorded));
        if let Some(to) = recorded {
            self.packet.translate(to);
        }
        Ok(())
    }

    /// The walk of the first packet of this one's connection; nothing is known of a connection
    /// that the other side opened.
    pub(super) fn opening(&self) -> Result<Option<Walk>, Stopped> {
        let mut opening = self.first.clone();
        match opening.side {
            Side::Reply => return Ok(None),
            Side::Original => {}
        }
        opening.state = ConntrackState::New;
        opening.connmark = 0;
        let walk = Journey::new(self.rules, &opening, self.host).run();
        match walk.fate {
            undecided @ Fate::Undecided { .. } => Err(Stopped(undecided)),
            Fate::RedirectedTo { .. }
            | Fate::Tproxied { .. }
            | Fate::AsAddressed { .. }
            | Fate::Dropped { .. } => Ok(Some(walk)),
        }
    }

    /// Says that a chain with rules was not asked.
    fn skip_nat(&mut self, hook: BuiltinChain, why: NatSkip) {
        let name = ChainName::from(hook);
        let rules = self.rules();
        let chain = rules.and_then(|rules| rules.chain(TableName::Nat, &name));
        if chain.is_some_and(|chain| !chain.rules.is_empty()) {
            self.note(TableName::Nat, &name, Event::NatSkipped(why));
        }
    }
}

fn is_for_destination(hook: BuiltinChain) -> bool {
    match hook {
        BuiltinChain::Prerouting | BuiltinChain::Output => true,
        BuiltinChain::Input | BuiltinChain::Forward | BuiltinChain::Postrouting => false,
    }
}
