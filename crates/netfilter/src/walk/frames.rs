//! The chains that are being walked: one calls another, and `RETURN` goes back.

use super::fate::Unjudged;
use crate::ruleset::{Chain, ChainName, Rule, Table};

/// The open chains of one table, the innermost last.
pub(super) struct Frames<'rules> {
    table: &'rules Table,
    open: Vec<Frame>,
}

struct Frame {
    chain: usize,
    next: usize,
}

/// A rule that comes next, and where it stands.
pub(super) struct Place<'rules> {
    pub(super) chain: &'rules Chain,
    /// From 1.
    pub(super) number: usize,
    pub(super) rule: &'rules Rule,
}

impl<'rules> Frames<'rules> {
    pub(super) fn new(table: &'rules Table, base: &ChainName) -> Self {
        let open = position(table, base).map(Frame::at_start);
        Self {
            table,
            open: open.into_iter().collect(),
        }
    }

    /// The next rule; at the end of a chain the one behind the rule that jumped there.
    pub(super) fn next_rule(&mut self) -> Option<Place<'rules>> {
        loop {
            let frame = self.open.last_mut()?;
            let chain = &self.table.chains[frame.chain];
            if let Some(rule) = chain.rules.get(frame.next) {
                frame.next += 1;
                let number = frame.next;
                return Some(Place {
                    chain,
                    number,
                    rule,
                });
            }
            self.open.pop();
        }
    }

    /// Goes into a chain, unless it is missing or open already.
    pub(super) fn enter(&mut self, name: &ChainName) -> Result<(), Unjudged> {
        let Some(chain) = position(self.table, name) else {
            return Err(Unjudged::MissingChain(name.clone()));
        };
        if self.open.iter().any(|frame| frame.chain == chain) {
            return Err(Unjudged::Loop(name.clone()));
        }
        self.open.push(Frame::at_start(chain));
        Ok(())
    }

    /// Leaves the innermost chain.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }
}

impl Frame {
    fn at_start(chain: usize) -> Self {
        Self { chain, next: 0 }
    }
}

fn position(table: &Table, name: &ChainName) -> Option<usize> {
    table.chains.iter().position(|chain| chain.name == *name)
}
