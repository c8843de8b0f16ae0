//! From what stands to what is wanted with one back end, family by family, with a way back.

use std::path::Path;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, only_ours, render, transaction};
use mesh_cni_rules::OWNERSHIP;

use super::Change;
use crate::backend::Backend;
use crate::policy_route;
use crate::xtables::{Xtables, XtablesError};

pub(super) struct Transition<'run> {
    xtables: &'run Xtables,
    lock: &'run Path,
    wanted: &'run [RuleSet],
}

/// One family that was brought to what is wanted, and what of ours stood there before.
struct Committed {
    before: RuleSet,
    change: Change,
}

impl<'run> Transition<'run> {
    pub(super) fn new(xtables: &'run Xtables, lock: &'run Path, wanted: &'run [RuleSet]) -> Self {
        Self {
            xtables,
            lock,
            wanted,
        }
    }

    /// Every wanted family, or none.
    pub(super) fn apply(&self, backend: Backend) -> Result<Change, XtablesError> {
        let mut committed: Vec<Committed> = Vec::new();
        for rules in self.wanted {
            match self.apply_family(backend, rules) {
                Ok(done) => committed.push(done),
                Err(error) => {
                    for done in committed.iter().rev() {
                        self.put_back(backend, &done.before);
                    }
                    return Err(error);
                }
            }
        }
        let change = committed.iter().map(|done| done.change).max();
        let change = change.unwrap_or(Change::Unchanged);
        if change == Change::Created {
            return Ok(change);
        }
        // Rules of ours stood here before, so other families may hold some too.
        let stale = self.remove_others(backend)?;
        Ok(change.max(stale.min(Change::Replaced)))
    }

    /// Both families; one that the host has no program for holds nothing of ours.
    pub(super) fn remove(&self, backend: Backend) -> Result<Change, XtablesError> {
        let four = self.remove_family(backend, Family::V4)?;
        let six = self.remove_family(backend, Family::V6);
        Ok(four.max(six.unwrap_or(Change::Unchanged)))
    }

    /// A fresh namespace needs one program start; only where that fails is anything read.
    ///
    /// The short way is for one table, which is one transaction: several could stand half.
    fn apply_family(&self, backend: Backend, rules: &RuleSet) -> Result<Committed, XtablesError> {
        let refusal = match rules.tables.as_slice() {
            [_one] => match self.restore(backend, rules.family, &render::restore(rules)) {
                Ok(()) => {
                    return Ok(Committed {
                        before: RuleSet::new(rules.family),
                        change: Change::Created,
                    });
                }
                Err(refusal) => Some(refusal),
            },
            _ => None,
        };
        match (self.xtables.save(backend, rules.family), refusal) {
            (Ok(found), refusal) => self.replace(backend, rules, &found, refusal),
            // Where not even reading works, the first refusal says more.
            (Err(_), Some(refusal)) | (Err(refusal), None) => Err(refusal),
        }
    }

    fn replace(
        &self,
        backend: Backend,
        rules: &RuleSet,
        found: &RuleSet,
        refusal: Option<XtablesError>,
    ) -> Result<Committed, XtablesError> {
        let before = only_ours(found, &OWNERSHIP);
        let input = transaction::replace(rules, found, &OWNERSHIP);
        let change = match (input.is_empty(), before.tables.is_empty()) {
            (true, _) => Change::Unchanged,
            (false, false) => Change::Replaced,
            (false, true) => Change::Created,
        };
        // Nothing of ours was in the way of the first attempt, so the same would fail again.
        if let (Change::Created, Some(refusal)) = (change, refusal) {
            return Err(refusal);
        }
        if change != Change::Unchanged
            && let Err(error) = self.program(backend, rules, &before, &input)
        {
            self.put_back(backend, &before);
            return Err(error);
        }
        Ok(Committed { before, change })
    }

    fn remove_others(&self, backend: Backend) -> Result<Change, XtablesError> {
        let wanted = |family| self.wanted.iter().any(|rules| rules.family == family);
        let mut change = Change::Unchanged;
        for family in Family::ALL.into_iter().filter(|family| !wanted(*family)) {
            change = change.max(match self.xtables.save(backend, family) {
                Ok(found) => self.remove_found(backend, &found)?,
                // What cannot be read has never been written.
                Err(_) => Change::Unchanged,
            });
        }
        Ok(change)
    }

    fn remove_family(&self, backend: Backend, family: Family) -> Result<Change, XtablesError> {
        let found = self.xtables.save(backend, family)?;
        self.remove_found(backend, &found)
    }

    fn remove_found(&self, backend: Backend, found: &RuleSet) -> Result<Change, XtablesError> {
        let input = transaction::remove(found, &OWNERSHIP);
        if input.is_empty() {
            return Ok(Change::Unchanged);
        }
        self.program(backend, &RuleSet::new(found.family), found, &input)?;
        Ok(Change::Removed)
    }

    /// Makes that stand of ours which stood before.
    ///
    /// Best effort: the error that led here is the one to tell.
    fn put_back(&self, backend: Backend, before: &RuleSet) {
        if let Ok(found) = self.xtables.save(backend, before.family) {
            let input = transaction::replace(before, &found, &OWNERSHIP);
            if !input.is_empty() {
                let _outcome = self.program(backend, before, &found, &input);
            }
        }
    }

    /// Rules that mark packets stand only where the routing for the mark does.
    fn program(
        &self,
        backend: Backend,
        wanted: &RuleSet,
        found: &RuleSet,
        input: &str,
    ) -> Result<(), XtablesError> {
        let family = wanted.family;
        let failed = |source| XtablesError::Routing { backend, source };
        if let Some(routing) = wanted.routing {
            policy_route::add(family, routing).map_err(failed)?;
        }
        if let Err(refusal) = self.restore(backend, family, input) {
            if let (Some(routing), None) = (wanted.routing, found.routing) {
                // The refusal is the one to tell.
                let _outcome = policy_route::remove(family, routing);
            }
            return Err(refusal);
        }
        match found.routing {
            Some(stale) if wanted.routing != Some(stale) => {
                policy_route::remove(family, stale).map_err(failed)
            }
            _ => Ok(()),
        }
    }

    fn restore(&self, backend: Backend, family: Family, input: &str) -> Result<(), XtablesError> {
        self.xtables.restore(backend, family, input, self.lock)
    }
}
