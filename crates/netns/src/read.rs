//! Reads the rules of a namespace, whichever back end made them.

use error_reporter::Report;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{Ownership, RuleSet, only_ours};
use mesh_cni_rules::ANY_MESH;
use thiserror::Error;

use crate::backend::{Backend, BackendChoice};
use crate::backend_error::BackendError;
use crate::enter::EnterError;
use crate::netns::NetNs;
use crate::nf_tables;
use crate::nsswitch;
use crate::xtables::{Xtables, has_legacy_tables};

/// The rules of a namespace, with counters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundRules {
    /// The back end that holds them.
    pub backend: Backend,
    /// One rule set for each requested family.
    pub rule_sets: Vec<RuleSet>,
}

/// Why rules could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Every candidate failed; one message for each.
    #[error("no back end can read the rules: {}", .0.join("; "))]
    NoneWorks(Vec<String>),
}

/// Reads the rules of these families.
///
/// [`BackendChoice::Auto`] reads the back end that holds rules of a mesh, or the first that works if
/// none does. It reads the rules that `iptables-nft` made over netlink: they are the same.
pub fn read(
    netns: &NetNs,
    xtables: &Xtables,
    choice: BackendChoice,
    families: &[Family],
) -> Result<FoundRules, ReadError> {
    netns.run(|| read_here(xtables, choice, families))?
}

fn read_here(
    xtables: &Xtables,
    choice: BackendChoice,
    families: &[Family],
) -> Result<FoundRules, ReadError> {
    let mut candidates = choice.candidates();
    if choice.follows_existing_rules() && has_legacy_tables(Family::V4) {
        // Most hosts use only one kind, so a host with tables in x_tables probably uses these.
        candidates.reverse();
    }
    let mut readable: Vec<FoundRules> = Vec::new();
    let mut refusals = Vec::new();
    for backend in candidates {
        // The programs print the same rules as netlink.
        let is_netlink = |found: &FoundRules| found.backend == Backend::Netlink;
        if backend == Backend::IptablesNft && readable.iter().any(is_netlink) {
            continue;
        }
        match read_from(xtables, backend, families) {
            Ok(found) if found.rule_sets.iter().any(is_of_a_mesh) => return Ok(found),
            Ok(found) => readable.push(found),
            Err(error) => refusals.push(Report::new(error).to_string()),
        }
    }
    let first = readable.into_iter().next();
    first.ok_or(ReadError::NoneWorks(refusals))
}

fn read_from(
    xtables: &Xtables,
    backend: Backend,
    families: &[Family],
) -> Result<FoundRules, BackendError> {
    let snapshot = || {
        nf_tables::snapshot(&ANY_MESH).map_err(|source| BackendError::NfTables { backend, source })
    };
    let families = families.iter().copied();
    let rule_sets = match backend {
        Backend::Netlink => {
            let snapshot = snapshot()?;
            families
                .map(|family| snapshot.compat(family).rules.clone())
                .collect()
        }
        Backend::NftNative => {
            let snapshot = snapshot()?;
            families
                .map(|family| snapshot.native(family).clone())
                .collect()
        }
        Backend::IptablesNft | Backend::IptablesLegacy => {
            // If this fails, lookups of users may be slow, but they are correct.
            let _hidden = nsswitch::hide_remote_services();
            families
                .map(|family| xtables.save(backend, family, &ANY_MESH))
                .collect::<Result<_, _>>()?
        }
    };
    Ok(FoundRules { backend, rule_sets })
}

/// Every back end that holds rules of a mesh. Two of them are an error: packets pass through both.
///
/// Rules that `iptables-nft` made count as those of [`Backend::Netlink`]: they are the same. Back
/// ends that the kernel or the host lacks are left out.
pub fn holders(netns: &NetNs, xtables: &Xtables) -> Result<Vec<Backend>, EnterError> {
    netns.run(|| {
        let mut backends = vec![Backend::Netlink, Backend::NftNative];
        if Family::ALL.into_iter().any(has_legacy_tables) {
            backends.push(Backend::IptablesLegacy);
        }
        backends.retain(|backend| {
            read_from(xtables, *backend, &Family::ALL)
                .is_ok_and(|found| found.rule_sets.iter().any(is_of_a_mesh))
        });
        backends
    })
}

/// Whether the namespace has any table of `x_tables`, which only the programs of `iptables-legacy`
/// can read.
pub fn holds_legacy_tables(netns: &NetNs) -> Result<bool, EnterError> {
    netns.run(|| Family::ALL.into_iter().any(has_legacy_tables))
}

/// Whether any of these rules is ours.
pub(crate) fn has_ours(rules: &RuleSet, ownership: &Ownership) -> bool {
    !only_ours(rules, ownership).tables.is_empty()
}

fn is_of_a_mesh(rules: &RuleSet) -> bool {
    has_ours(rules, &ANY_MESH)
}
