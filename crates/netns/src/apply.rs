//! Applies and removes rule sets: every family or none, and never beside rules of ours in another
//! back end.

mod xtables_apply;

use std::borrow::Cow;
use std::path::PathBuf;
use std::{fmt, io};

use error_reporter::Report;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{Ownership, RuleSet};
use mesh_cni_rules::{Mesh, ownership, uses_passthrough};
use thiserror::Error;

use crate::backend::{Backend, BackendChoice};
use crate::backend_error::BackendError;
use crate::change::{Applied, Change};
use crate::enter::EnterError;
use crate::netns::NetNs;
use crate::nf_tables::{self, Encoding};
use crate::nsswitch;
use crate::passthrough_address;
use crate::read::has_ours;
use crate::user_ns::UserNs;
use crate::xtables::{Xtables, has_legacy_tables};
use xtables_apply::XtablesApply;

/// Why rules were not applied or removed. The namespace is unchanged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Rules of ours exist in a back end that was not chosen.
    #[error(
        "rules of sidecar interception exist in {found}, but {chosen} was chosen: \
         remove them first, or choose {found}"
    )]
    Elsewhere {
        /// The back end that holds the rules.
        found: Backend,
        /// The chosen back end.
        chosen: Backend,
    },
    /// The source address of inbound IPv6 connections from the sidecar to the application.
    #[error("cannot add or remove the address ::6 on the loopback interface")]
    PassthroughAddress(#[source] io::Error),
    /// Every candidate failed.
    #[error("no back end works: {}", join(.0))]
    NoneWorks(Vec<Attempt>),
}

/// A failed attempt to use a back end.
#[derive(Debug)]
pub struct Attempt {
    /// The back end.
    pub backend: Backend,
    /// Why it failed.
    pub error: BackendError,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Report::new(&self.error).fmt(f)
    }
}

/// Applies the wanted rules of a mesh, one rule set for each family.
///
/// Earlier rules of that mesh are replaced, and its families that are not wanted are removed. The
/// same call again changes nothing. If a family is IPv6 and the mesh needs it, the loopback interface
/// gets the address `::6`, the source of inbound connections from the sidecar to the application.
pub fn apply(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    mesh: Mesh,
    wanted: &[RuleSet],
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        let apply = Apply::new(netns, xtables, mesh, wanted)?;
        if passthrough_address::is_needed(mesh, wanted) {
            // Before the rules: alone it has no effect.
            passthrough_address::add().map_err(ApplyError::PassthroughAddress)?;
        }
        apply.first_that_works(choice)
    })?
}

/// Removes all rules of a mesh from the namespace, in the chosen back end or in all.
///
/// It succeeds if there are none. The rules of others stay. Back ends `netlink` and `nft-native`
/// each remove the rules of both.
pub fn remove(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    mesh: Mesh,
) -> Result<Applied, ApplyError> {
    netns.run(|| {
        let removed = Apply::new(netns, xtables, mesh, &[])?.remove(choice)?;
        if uses_passthrough(mesh) {
            passthrough_address::remove().map_err(ApplyError::PassthroughAddress)?;
        }
        Ok(removed)
    })?
}

/// One change, made by a thread that is in the namespace.
struct Apply<'run> {
    xtables: Cow<'run, Xtables>,
    /// A file that only this namespace has.
    lock: PathBuf,
    wanted: &'run [RuleSet],
    ownership: &'static Ownership,
    user_ns: Option<UserNs>,
}

impl<'run> Apply<'run> {
    fn new(
        netns: &'run NetNs,
        xtables: &'run Xtables,
        mesh: Mesh,
        wanted: &'run [RuleSet],
    ) -> Result<Self, EnterError> {
        let user_ns = netns.user_ns()?;
        let (xtables, lock) = match &user_ns {
            None => (Cow::Borrowed(xtables), netns.path().to_owned()),
            Some(user_ns) => (
                Cow::Owned(xtables.inside(user_ns)),
                user_ns.lock_file().into(),
            ),
        };
        Ok(Self {
            xtables,
            lock,
            wanted,
            ownership: ownership(mesh),
            user_ns,
        })
    }

    /// Skips a back end that cannot replace the existing rules of ours: both would be in effect.
    fn first_that_works(&self, choice: BackendChoice) -> Result<Applied, ApplyError> {
        let mut attempts = Vec::new();
        let mut elsewhere = None;
        for backend in choice.candidates() {
            if let Some(found) = self.conflicting_backend(backend) {
                elsewhere = elsewhere.or(Some((found, backend)));
                continue;
            }
            match self.apply(backend, choice) {
                Ok(applied) => return Ok(applied),
                Err(error) => attempts.push(Attempt { backend, error }),
            }
        }
        match elsewhere {
            Some((found, chosen)) if attempts.is_empty() => {
                Err(ApplyError::Elsewhere { found, chosen })
            }
            _ => Err(ApplyError::NoneWorks(attempts)),
        }
    }

    fn apply(&self, backend: Backend, choice: BackendChoice) -> Result<Applied, BackendError> {
        let encoding = match backend {
            Backend::Netlink if choice.follows_existing_rules() => Encoding::AsExisting,
            Backend::Netlink => Encoding::Compat,
            Backend::NftNative => Encoding::Native,
            Backend::IptablesNft | Backend::IptablesLegacy => {
                // If this fails, lookups of users may be slow, but they are correct.
                let _hidden = nsswitch::hide_remote_services();
                let change = self.with_programs().apply(backend)?;
                return Ok(Applied { backend, change });
            }
        };
        nf_tables::apply(self.user_ns.as_ref(), encoding, self.wanted, self.ownership)
            .map_err(|source| BackendError::NfTables { backend, source })
    }

    fn remove(&self, choice: BackendChoice) -> Result<Applied, ApplyError> {
        let mut done: Option<Applied> = None;
        let mut attempts = Vec::new();
        for backend in choice.candidates() {
            // They see the same rules as netlink.
            let is_covered = matches!(backend, Backend::IptablesNft | Backend::NftNative);
            if is_covered && done.is_some_and(|done| done.backend == Backend::Netlink)
                || backend == Backend::IptablesLegacy && !has_any_legacy_tables()
            {
                continue;
            }
            match self.remove_from(backend) {
                Ok(change) if done.is_none_or(|done| done.change < change) => {
                    done = Some(Applied { backend, change });
                }
                Ok(_) => {}
                Err(error) => attempts.push(Attempt { backend, error }),
            }
        }
        match done {
            Some(done) => Ok(done),
            None if attempts.is_empty() => Ok(Applied {
                backend: Backend::IptablesLegacy,
                change: Change::Unchanged,
            }),
            None => Err(ApplyError::NoneWorks(attempts)),
        }
    }

    fn remove_from(&self, backend: Backend) -> Result<Change, BackendError> {
        match backend {
            Backend::Netlink | Backend::NftNative => {
                nf_tables::remove(self.user_ns.as_ref(), self.ownership)
                    .map_err(|source| BackendError::NfTables { backend, source })
            }
            Backend::IptablesNft | Backend::IptablesLegacy => {
                let _hidden = nsswitch::hide_remote_services();
                Ok(self.with_programs().remove(backend)?)
            }
        }
    }

    /// A back end with rules of ours that this one cannot replace.
    ///
    /// A new namespace has no table of `x_tables`, which takes one read of a file to find out. The
    /// netlink back ends replace all rules of ours in `nf_tables`. Only for the programs are these
    /// read here.
    fn conflicting_backend(&self, backend: Backend) -> Option<Backend> {
        if backend != Backend::IptablesLegacy && self.has_legacy_rules() {
            return Some(Backend::IptablesLegacy);
        }
        if matches!(backend, Backend::Netlink | Backend::NftNative) {
            return None;
        }
        // A kernel that does not answer has no `nf_tables`.
        let snapshot = nf_tables::snapshot(self.ownership).ok()?;
        if snapshot.has_native_rules() {
            return Some(Backend::NftNative);
        }
        (backend == Backend::IptablesLegacy && snapshot.has_compat_rules())
            .then_some(Backend::Netlink)
    }

    /// Whether `x_tables` holds rules of ours. Rules that cannot be read count as none.
    fn has_legacy_rules(&self) -> bool {
        Family::ALL.into_iter().any(|family| {
            has_legacy_tables(family)
                && self
                    .xtables
                    .save(Backend::IptablesLegacy, family, self.ownership)
                    .is_ok_and(|rules| has_ours(&rules, self.ownership))
        })
    }

    fn with_programs(&self) -> XtablesApply<'_> {
        XtablesApply {
            xtables: &self.xtables,
            lock: &self.lock,
            wanted: self.wanted,
            ownership: self.ownership,
        }
    }
}

fn has_any_legacy_tables() -> bool {
    Family::ALL.into_iter().any(has_legacy_tables)
}

fn join(attempts: &[Attempt]) -> String {
    let attempts: Vec<_> = attempts.iter().map(Attempt::to_string).collect();
    attempts.join("; ")
}
