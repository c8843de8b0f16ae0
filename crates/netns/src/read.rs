//! Reading the rules that stand in a namespace, whichever back end put them there.

use std::{fs, io};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, only_ours};
use mesh_cni_rules::OWNERSHIP;
use thiserror::Error;

use crate::backend::{Backend, BackendChoice, BackendError};
use crate::enter::EnterError;
use crate::handle::NetNs;
use crate::name_service;
use crate::nf_tables;
use crate::words::chain;
use crate::xtables::Xtables;

/// The rules of a namespace, with counters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The back end that holds them.
    pub backend: Backend,
    /// One rule set for each family that was asked for.
    pub rule_sets: Vec<RuleSet>,
}

/// Rules that could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// No back end could read; one line for each that was tried.
    #[error("no back end can read the rules: {}", .0.join("; "))]
    NoneWorks(Vec<String>),
}

/// Reads the rules of these families.
///
/// With [`BackendChoice::Auto`] the back end that holds rules of ours is read; where none does,
/// the first that works. Rules that `iptables-nft` made are read over netlink then: they are the
/// same.
pub fn read(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    families: &[Family],
) -> Result<Found, ReadError> {
    netns.run(|| read_here(xtables, choice, families))?
}

fn read_here(
    xtables: &Xtables,
    choice: BackendChoice,
    families: &[Family],
) -> Result<Found, ReadError> {
    let mut candidates = choice.candidates();
    if choice.is_open() && has_legacy_tables(Family::V4) {
        // Most hosts have but one flavour in use; where x_tables is, look there first.
        candidates.reverse();
    }
    let mut readable: Vec<Found> = Vec::new();
    let mut refusals = Vec::new();
    for backend in candidates {
        // The programs would tell what netlink told.
        let told = |found: &Found| found.backend == Backend::Netlink;
        if backend == Backend::IptablesNft && readable.iter().any(told) {
            continue;
        }
        match read_by(xtables, backend, families) {
            Ok(found) if found.rule_sets.iter().any(is_ours) => return Ok(found),
            Ok(found) => readable.push(found),
            Err(error) => refusals.push(chain(&error)),
        }
    }
    let first = readable.into_iter().next();
    first.ok_or(ReadError::NoneWorks(refusals))
}

fn read_by(
    xtables: &Xtables,
    backend: Backend,
    families: &[Family],
) -> Result<Found, BackendError> {
    let failed = |source| BackendError::NfTables { backend, source };
    let rule_sets = match backend {
        Backend::Netlink => {
            let look = nf_tables::look().map_err(failed)?;
            let rules = families
                .iter()
                .map(|family| look.compat(*family).rules.clone());
            rules.collect()
        }
        Backend::NftNative => {
            let look = nf_tables::look().map_err(failed)?;
            let rules = families.iter().map(|family| look.native(*family).clone());
            rules.collect()
        }
        Backend::IptablesNft | Backend::IptablesLegacy => {
            // Without it, look-ups of users may be slow; they are not wrong.
            let _hidden = name_service::keep_local();
            let saved = families.iter().map(|family| xtables.save(backend, *family));
            saved.collect::<Result<_, _>>()?
        }
    };
    Ok(Found { backend, rule_sets })
}

/// Every back end in which rules of ours stand; two at once are one too many, for packets meet both.
///
/// Rules that `iptables-nft` made count as [`Backend::Netlink`]'s: they are the same. What cannot
/// be read, because the kernel or the host lacks it, is left out.
pub fn holders(netns: &NetNs, xtables: &Xtables) -> Result<Vec<Backend>, EnterError> {
    netns.run(|| {
        let mut backends = vec![Backend::Netlink, Backend::NftNative];
        if Family::ALL.into_iter().any(has_legacy_tables) {
            backends.push(Backend::IptablesLegacy);
        }
        backends.retain(|backend| {
            let found = read_by(xtables, *backend, &Family::ALL);
            found.is_ok_and(|found| found.rule_sets.iter().any(is_ours))
        });
        backends
    })
}

/// Whether `x_tables`, which only the programs of `iptables-legacy` read, holds any table there.
pub fn holds_legacy_tables(netns: &NetNs) -> Result<bool, EnterError> {
    netns.run(|| Family::ALL.into_iter().any(has_legacy_tables))
}

/// Whether anything in these rules is ours.
pub(crate) fn is_ours(rules: &RuleSet) -> bool {
    !only_ours(rules, &OWNERSHIP).tables.is_empty()
}

/// Whether `x_tables` holds any table of that family in the calling thread's namespace.
///
/// Asking the programs would make the tables.
pub(crate) fn has_legacy_tables(family: Family) -> bool {
    let names = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let read: io::Result<String> = fs::read_to_string(names);
    read.is_ok_and(|names| !names.trim().is_empty())
}
