//! Applying and removing rule sets: every family or none, and never beside rules of ours in
//! another back end.

mod transition;

use std::fmt;

use mesh_cni_rules::RuleSet;
use mesh_cni_rules::ruleset::Family;
use thiserror::Error;

use crate::backend::{Backend, BackendChoice};
use crate::enter::EnterError;
use crate::handle::NetNs;
use crate::name_service;
use crate::read::{has_legacy_tables, is_ours};
use crate::xtables::{Xtables, XtablesError};
use transition::Transition;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The back end that did it.
    pub backend: Backend,
    /// What it changed.
    pub change: Change,
}

/// What applying changed in the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing: the wanted rules stood already, and keep their counters.
    Unchanged,
    /// The namespace held no rule of ours before.
    Created,
    /// Other rules of ours stood there and were replaced.
    Replaced,
    /// Rules of ours stood there and are gone.
    Removed,
}

/// Rules that were not applied; the namespace is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Rules of ours stand in a back end that was not chosen.
    #[error(
        "rules of sidecar interception stand in {standing}, but {chosen} was chosen: \
         remove them first, or choose {standing}"
    )]
    Elsewhere {
        /// Where they stand.
        standing: Backend,
        /// What was chosen.
        chosen: Backend,
    },
    /// No back end took the rules; what each said.
    #[error("no back end works: {}", join(.0))]
    NoneWorks(Vec<Attempt>),
}

/// What one back end said to the rules.
#[derive(Debug)]
pub struct Attempt {
    /// The back end.
    pub backend: Backend,
    /// Why it did not take them.
    pub error: XtablesError,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::error::Error as _;
        write!(f, "{}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Makes the wanted rules stand, one rule set for each family.
///
/// What of ours stood there before is replaced; families of ours that are not wanted go. The same
/// call again changes nothing.
pub fn apply(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    wanted: &[RuleSet],
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        // Without it, look-ups of users may be slow; they are not wrong.
        let _hidden = name_service::keep_local();
        let transition = Transition::new(xtables, netns.path(), wanted);
        first_that_works(&order(xtables, choice)?, xtables, |backend| {
            transition.apply(backend)
        })
    })?
}

/// Removes whatever of ours stands in the namespace, in the chosen back end or in all.
///
/// Nothing to remove is a success. The rules of others stay.
pub fn remove(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        let _hidden = name_service::keep_local();
        let transition = Transition::new(xtables, netns.path(), &[]);
        let mut done: Option<Applied> = None;
        let mut attempts = Vec::new();
        for backend in choice.candidates() {
            if backend == Backend::IptablesLegacy && !Family::ALL.into_iter().any(has_legacy_tables)
            {
                continue;
            }
            match transition.remove(backend) {
                Ok(change) if done.is_none_or(|done| done.change < change) => {
                    done = Some(Applied { backend, change });
                }
                Ok(_) => {}
                Err(error) => attempts.push(Attempt { backend, error }),
            }
        }
        let nothing = Applied {
            backend: Backend::IptablesLegacy,
            change: Change::Unchanged,
        };
        match (done, attempts.is_empty()) {
            (Some(done), _) => Ok(done),
            (None, true) => Ok(nothing),
            (None, false) => Err(ApplyError::NoneWorks(attempts)),
        }
    })?
}

/// The back ends to try, first the one that holds rules of ours.
fn order(xtables: &Xtables, choice: BackendChoice) -> Result<Vec<Backend>, ApplyError> {
    let standing = standing_in_legacy(xtables).or_else(|| standing_beside_legacy(xtables, choice));
    match (standing, choice) {
        (None, _) => Ok(choice.candidates()),
        (Some(standing), BackendChoice::Auto) => Ok(vec![standing]),
        (Some(standing), BackendChoice::Only(chosen)) if standing == chosen => Ok(vec![chosen]),
        (Some(standing), BackendChoice::Only(chosen)) => {
            Err(ApplyError::Elsewhere { standing, chosen })
        }
    }
}

/// A fresh namespace has no table of `x_tables`, which costs one read of a file to know.
fn standing_in_legacy(xtables: &Xtables) -> Option<Backend> {
    let backend = Backend::IptablesLegacy;
    holds_ours(xtables, backend).then_some(backend)
}

/// Only who insists on `x_tables` pays for the look into `nf_tables`.
fn standing_beside_legacy(xtables: &Xtables, choice: BackendChoice) -> Option<Backend> {
    let other = match choice {
        BackendChoice::Only(Backend::IptablesLegacy) => Backend::IptablesNft,
        BackendChoice::Auto | BackendChoice::Only(_) => return None,
    };
    holds_ours(xtables, other).then_some(other)
}

/// Whether rules of ours stand in that back end; what cannot be read holds none.
fn holds_ours(xtables: &Xtables, backend: Backend) -> bool {
    let mut families = Family::ALL.into_iter();
    families.any(|family| {
        let may_hold = backend != Backend::IptablesLegacy || has_legacy_tables(family);
        may_hold
            && xtables
                .save(backend, family)
                .is_ok_and(|rules| is_ours(&rules))
    })
}

/// A back end that fails leaves what of ours stood there before; the next one is tried only where
/// that is nothing, since it would stand beside it.
fn first_that_works(
    candidates: &[Backend],
    xtables: &Xtables,
    work: impl Fn(Backend) -> Result<Change, XtablesError>,
) -> Result<Applied, ApplyError> {
    let mut attempts = Vec::new();
    for backend in candidates.iter().copied() {
        match work(backend) {
            Ok(change) => return Ok(Applied { backend, change }),
            Err(error) => attempts.push(Attempt { backend, error }),
        }
        if holds_ours(xtables, backend) {
            break;
        }
    }
    Err(ApplyError::NoneWorks(attempts))
}

fn join(attempts: &[Attempt]) -> String {
    let attempts: Vec<_> = attempts.iter().map(Attempt::to_string).collect();
    attempts.join("; ")
}
