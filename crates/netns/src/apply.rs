//! Applying and removing rule sets: every family or none, and never beside rules of ours in
//! another back end.

mod transition;

use std::borrow::Cow;
use std::path::PathBuf;
use std::{fmt, io};

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use thiserror::Error;

use crate::backend::{Backend, BackendChoice, BackendError};
use crate::enter::EnterError;
use crate::handle::NetNs;
use crate::name_service;
use crate::nf_tables::{self, Flavour};
use crate::passthrough_address;
use crate::read::{has_legacy_tables, is_ours};
use crate::user_ns::Owner;
use crate::words::chain;
use crate::xtables::Xtables;
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
    /// The address to which a sidecar binds when it passes on what came by IPv6.
    #[error("cannot give the address ::6 to the loopback interface, or take it away")]
    PassthroughAddress(#[source] io::Error),
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
    pub error: BackendError,
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
        f.write_str(&chain(&self.error))
    }
}

/// Makes the wanted rules stand, one rule set for each family.
///
/// What of ours stood there before is replaced; families of ours that are not wanted go. The same
/// call again changes nothing. Where a family is IPv6, the loopback interface gets the address `::6`,
/// from which a sidecar passes on what came by IPv6.
pub fn apply(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    wanted: &[RuleSet],
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        let work = Work::new(netns, xtables, wanted)?;
        if passthrough_address::is_needed(wanted) {
            // Before the rules: alone it does nothing.
            passthrough_address::add().map_err(ApplyError::PassthroughAddress)?;
        }
        work.first_that_works(choice)
    })?
}

/// Removes whatever of ours stands in the namespace, in the chosen back end or in all.
///
/// Nothing to remove is a success. The rules of others stay. The back ends that talk to the kernel
/// themselves share what they know, so either removes what the other made.
pub fn remove(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        let removed = Work::new(netns, xtables, &[])?.remove(choice)?;
        passthrough_address::remove().map_err(ApplyError::PassthroughAddress)?;
        Ok(removed)
    })?
}

/// What is to be done, by a thread that is in the namespace.
struct Work<'run> {
    xtables: Cow<'run, Xtables>,
    /// A file of this namespace alone.
    lock: PathBuf,
    wanted: &'run [RuleSet],
    owner: Option<Owner>,
}

impl<'run> Work<'run> {
    fn new(
        netns: &'run NetNs,
        xtables: &'run Xtables,
        wanted: &'run [RuleSet],
    ) -> Result<Self, EnterError> {
        let owner = netns.owner()?;
        let (xtables, lock) = match &owner {
            None => (Cow::Borrowed(xtables), netns.path().to_owned()),
            Some(owner) => (Cow::Owned(xtables.admitted_by(owner)), owner.lock().into()),
        };
        Ok(Self {
            xtables,
            lock,
            wanted,
            owner,
        })
    }

    /// A back end is passed over where rules of ours stand that it could not replace: it would stand
    /// beside them.
    fn first_that_works(&self, choice: BackendChoice) -> Result<Applied, ApplyError> {
        let mut attempts = Vec::new();
        let mut elsewhere = None;
        for backend in choice.candidates() {
            if let Some(standing) = self.in_the_way_of(backend) {
                elsewhere = elsewhere.or(Some((standing, backend)));
                continue;
            }
            match self.apply(backend, choice) {
                Ok(applied) => return Ok(applied),
                Err(error) => attempts.push(Attempt { backend, error }),
            }
        }
        match elsewhere {
            Some((standing, chosen)) if attempts.is_empty() => {
                Err(ApplyError::Elsewhere { standing, chosen })
            }
            _ => Err(ApplyError::NoneWorks(attempts)),
        }
    }

    fn apply(&self, backend: Backend, choice: BackendChoice) -> Result<Applied, BackendError> {
        let flavour = match backend {
            Backend::Netlink if choice.is_open() => Flavour::Standing,
            Backend::Netlink => Flavour::Compat,
            Backend::NftNative => Flavour::Native,
            Backend::IptablesNft | Backend::IptablesLegacy => {
                // Without it, look-ups of users may be slow; they are not wrong.
                let _hidden = name_service::keep_local();
                let change = self.transition().apply(backend)?;
                return Ok(Applied { backend, change });
            }
        };
        let applied = nf_tables::apply(self.owner.as_ref(), flavour, self.wanted);
        applied.map_err(|source| BackendError::NfTables { backend, source })
    }

    fn remove(&self, choice: BackendChoice) -> Result<Applied, ApplyError> {
        let mut done: Option<Applied> = None;
        let mut attempts = Vec::new();
        for backend in choice.candidates() {
            // What netlink sees, the programs see too.
            let seen = backend == Backend::IptablesNft || backend == Backend::NftNative;
            if seen && done.is_some_and(|done| done.backend == Backend::Netlink) {
                continue;
            }
            if backend == Backend::IptablesLegacy && !Family::ALL.into_iter().any(has_legacy_tables)
            {
                continue;
            }
            match self.remove_by(backend) {
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
    }

    fn remove_by(&self, backend: Backend) -> Result<Change, BackendError> {
        match backend {
            Backend::Netlink | Backend::NftNative => {
                let removed = nf_tables::remove(self.owner.as_ref());
                removed.map_err(|source| BackendError::NfTables { backend, source })
            }
            Backend::IptablesNft | Backend::IptablesLegacy => {
                let _hidden = name_service::keep_local();
                Ok(self.transition().remove(backend)?)
            }
        }
    }

    /// A back end with rules of ours that this one could not replace.
    ///
    /// A fresh namespace has no table of `x_tables`, which costs one read of a file to know. The
    /// back ends that talk to `nf_tables` themselves replace whatever of ours stands there; who
    /// insists on programs pays for a look.
    fn in_the_way_of(&self, backend: Backend) -> Option<Backend> {
        if backend != Backend::IptablesLegacy && holds_legacy(&self.xtables) {
            return Some(Backend::IptablesLegacy);
        }
        if matches!(backend, Backend::Netlink | Backend::NftNative) {
            return None;
        }
        // A kernel that does not tell has no `nf_tables`.
        let look = nf_tables::look().ok()?;
        if look.holds_native() {
            return Some(Backend::NftNative);
        }
        let compat = backend == Backend::IptablesLegacy && look.holds_compat();
        compat.then_some(Backend::Netlink)
    }

    fn transition(&self) -> Transition<'_> {
        Transition::new(&self.xtables, &self.lock, self.wanted)
    }
}

/// Whether rules of ours stand in `x_tables`; what cannot be read holds none.
fn holds_legacy(xtables: &Xtables) -> bool {
    let mut families = Family::ALL.into_iter();
    families.any(|family| {
        has_legacy_tables(family)
            && xtables
                .save(Backend::IptablesLegacy, family)
                .is_ok_and(|rules| is_ours(&rules))
    })
}

fn join(attempts: &[Attempt]) -> String {
    let attempts: Vec<_> = attempts.iter().map(Attempt::to_string).collect();
    attempts.join("; ")
}
