//! Applies rules with the host's programs, family by family, and rolls back on failure.

use std::path::Path;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{Ownership, RuleSet, only_ours, render, transaction};

use crate::backend::Backend;
use crate::change::Change;
use crate::policy_route;
use crate::xtables::{Xtables, XtablesError};

pub(super) struct XtablesApply<'run> {
    pub(super) xtables: &'run Xtables,
    pub(super) lock: &'run Path,
    pub(super) wanted: &'run [RuleSet],
    pub(super) ownership: &'static Ownership,
}

/// A family whose rules were applied, with the earlier rules of ours.
struct AppliedFamily {
    before: RuleSet,
    change: Change,
}

impl XtablesApply<'_> {
    /// Applies every wanted family, or none.
    pub(super) fn apply(&self, backend: Backend) -> Result<Change, XtablesError> {
        let mut applied: Vec<AppliedFamily> = Vec::new();
        for rules in self.wanted {
            // Every set of ours has rules for IPv4, so none in that family means none at all.
            let is_new = match rules.family {
                Family::V4 => true,
                Family::V6 => {
                    matches!(applied.as_slice(), [ipv4] if ipv4.change == Change::Created)
                }
            };
            match self.apply_family(backend, rules, is_new) {
                Ok(family) => applied.push(family),
                Err(error) => {
                    for family in applied.iter().rev() {
                        self.roll_back(backend, &family.before);
                    }
                    return Err(error);
                }
            }
        }
        let change = applied.iter().map(|family| family.change).max();
        let change = change.unwrap_or(Change::Unchanged);
        if change == Change::Created {
            return Ok(change);
        }
        // There were rules of ours before, so other families may have some too.
        let removed = self.remove_unwanted_families(backend)?;
        Ok(change.max(removed.min(Change::Replaced)))
    }

    /// Removes both families. If the host has no program for IPv6, it has no such rules of ours.
    pub(super) fn remove(&self, backend: Backend) -> Result<Change, XtablesError> {
        let ipv4 = self.remove_family(backend, Family::V4)?;
        let ipv6 = self.remove_family(backend, Family::V6);
        Ok(ipv4.max(ipv6.unwrap_or(Change::Unchanged)))
    }

    /// In a new namespace this runs one program. It reads the rules only if that fails.
    ///
    /// This shortcut is for a single table, which is one transaction. Of several tables, some could
    /// be committed before one fails. It is also for a family whose older rules, if any, have the same
    /// chains, which the program refuses to create again: older IPv6 rules may be in another table.
    fn apply_family(
        &self,
        backend: Backend,
        rules: &RuleSet,
        is_new: bool,
    ) -> Result<AppliedFamily, XtablesError> {
        let refusal = match rules.tables.as_slice() {
            [_one] if is_new => {
                match self.restore(backend, rules.family, &render::restore(rules)) {
                    Ok(()) => {
                        return Ok(AppliedFamily {
                            before: RuleSet::new(rules.family),
                            change: Change::Created,
                        });
                    }
                    Err(refusal) => Some(refusal),
                }
            }
            _ => None,
        };
        match (
            self.xtables.save(backend, rules.family, self.ownership),
            refusal,
        ) {
            (Ok(found), refusal) => self.replace(backend, rules, &found, refusal),
            // If reading fails too, the first error has more information.
            (Err(_), Some(refusal)) | (Err(refusal), None) => Err(refusal),
        }
    }

    fn replace(
        &self,
        backend: Backend,
        rules: &RuleSet,
        found: &RuleSet,
        refusal: Option<XtablesError>,
    ) -> Result<AppliedFamily, XtablesError> {
        let before = only_ours(found, self.ownership);
        let input = transaction::replace(rules, found, self.ownership);
        let change = match (input.is_empty(), before.tables.is_empty()) {
            (true, _) => Change::Unchanged,
            (false, false) => Change::Replaced,
            (false, true) => Change::Created,
        };
        // No rules of ours caused the first refusal, so another attempt would fail too.
        if let (Change::Created, Some(refusal)) = (change, refusal) {
            return Err(refusal);
        }
        if change != Change::Unchanged
            && let Err(error) = self.program(backend, rules, &before, &input)
        {
            self.roll_back(backend, &before);
            return Err(error);
        }
        Ok(AppliedFamily { before, change })
    }

    fn remove_unwanted_families(&self, backend: Backend) -> Result<Change, XtablesError> {
        let mut change = Change::Unchanged;
        for family in Family::ALL {
            // Rules that cannot be read were never written.
            if !self.wanted.iter().any(|rules| rules.family == family)
                && let Ok(found) = self.xtables.save(backend, family, self.ownership)
            {
                change = change.max(self.remove_found(backend, &found)?);
            }
        }
        Ok(change)
    }

    fn remove_family(&self, backend: Backend, family: Family) -> Result<Change, XtablesError> {
        let found = self.xtables.save(backend, family, self.ownership)?;
        self.remove_found(backend, &found)
    }

    fn remove_found(&self, backend: Backend, found: &RuleSet) -> Result<Change, XtablesError> {
        let input = transaction::remove(found, self.ownership);
        if input.is_empty() {
            return Ok(Change::Unchanged);
        }
        self.program(backend, &RuleSet::new(found.family), found, &input)?;
        Ok(Change::Removed)
    }

    /// Restores the previous rules of ours, as far as possible: the caller returns the error that
    /// made this necessary.
    fn roll_back(&self, backend: Backend, before: &RuleSet) {
        if let Ok(found) = self.xtables.save(backend, before.family, self.ownership) {
            let input = transaction::replace(before, &found, self.ownership);
            if !input.is_empty() {
                let _outcome = self.program(backend, before, &found, &input);
            }
        }
    }

    /// Commits the input. Rules that mark packets never exist without the routing for the mark.
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
            let _outcome = policy_route::remove_stale(family, wanted.routing, found.routing);
            return Err(refusal);
        }
        policy_route::remove_stale(family, found.routing, wanted.routing).map_err(failed)
    }

    fn restore(&self, backend: Backend, family: Family, input: &str) -> Result<(), XtablesError> {
        self.xtables.restore(backend, family, input, self.lock)
    }
}
