//! The chains that are being traversed: a jump pushes one, `RETURN` pops it.

use super::outcome::UndecidedReason;
use crate::ruleset::{Chain, ChainName, Rule, Table};

/// The open chains of one table, the innermost last.
pub(super) struct ChainStack<'rules> {
    table: &'rules Table,
    open: Vec<Frame>,
}

/// An open chain and its next rule, both as indexes from 0.
struct Frame {
    chain: usize,
    next: usize,
}

/// A rule with its chain and its number there, from 1.
pub(super) struct NumberedRule<'rules> {
    pub(super) chain: &'rules Chain,
    pub(super) number: usize,
    pub(super) rule: &'rules Rule,
}

impl<'rules> ChainStack<'rules> {
    pub(super) fn new(table: &'rules Table, base: &ChainName) -> Self {
        let frame = index_of(table, base).map(|chain| Frame { chain, next: 0 });
        Self {
            table,
            open: frame.into_iter().collect(),
        }
    }

    /// The next rule; at the end of a chain the one after the rule that jumped there.
    pub(super) fn next_rule(&mut self) -> Option<NumberedRule<'rules>> {
        loop {
            let frame = self.open.last_mut()?;
            let chain = &self.table.chains[frame.chain];
            if let Some(rule) = chain.rules.get(frame.next) {
                frame.next += 1;
                return Some(NumberedRule {
                    chain,
                    number: frame.next,
                    rule,
                });
            }
            self.open.pop();
        }
    }

    /// Jumps to a chain, unless it is missing or already open.
    pub(super) fn push(&mut self, name: &ChainName) -> Result<(), UndecidedReason> {
        let chain = index_of(self.table, name)
            .ok_or_else(|| UndecidedReason::MissingChain(name.clone()))?;
        if self.open.iter().any(|frame| frame.chain == chain) {
            return Err(UndecidedReason::Loop(name.clone()));
        }
        self.open.push(Frame { chain, next: 0 });
        Ok(())
    }

    /// Returns from the innermost chain.
    pub(super) fn pop(&mut self) {
        self.open.pop();
    }
}

fn index_of(table: &Table, name: &ChainName) -> Option<usize> {
    table.chains.iter().position(|chain| chain.name == *name)
}
