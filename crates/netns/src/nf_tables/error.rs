//! Errors of `nf_tables`.

use std::io;

use mesh_cni_nftables::{Change, Malformed, Query, Refusal, Unwritable};
use nix::errno::Errno;
use thiserror::Error;

use crate::modules;
use crate::nfnetlink::QueryError;

/// How often another program may change the rules between the snapshot and the commit.
///
/// An attempt takes a millisecond or two, and a program that writes all the time leaves few gaps
/// as long.
pub(super) const ATTEMPTS: usize = 256;

/// Why rules could not be read or changed over netlink.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NfTablesError {
    /// The socket cannot be opened or used.
    #[error("the netlink socket to nf_tables failed")]
    Socket(#[source] io::Error),
    /// The kernel has no `nf_tables`, or refuses access.
    #[error("cannot read nf_tables rules from the kernel: {reason}")]
    Unreadable {
        /// The kernel's error.
        reason: String,
    },
    /// The kernel lacks a match or target of `x_tables`, or `nft_compat`, which calls it.
    #[error("the kernel has no {kind} `{name}` in nft_compat: {reason}")]
    NoExtension {
        /// `match` or `target`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The kernel's error.
        reason: String,
        /// The kernel modules that have it.
        modules: Vec<String>,
    },
    /// The kernel's answer cannot be decoded.
    #[error("the kernel sent an invalid netlink message")]
    Malformed(#[source] Malformed),
    /// The kernel refused a message of the batch, and with it the whole batch.
    #[error("the kernel refused `{change}`: {reason}")]
    Refused {
        /// The refused change.
        change: String,
        /// The kernel's error.
        reason: String,
        /// The error number.
        errno: i32,
    },
    /// The kernel neither committed nor refused the batch.
    #[error("the kernel did not confirm the change of the rules")]
    NotConfirmed,
    /// Another program changed the rules in every attempt.
    #[error(
        "another program keeps changing the rules of this namespace: gave up after {attempts} attempts"
    )]
    Unsettled {
        /// The number of attempts.
        attempts: usize,
    },
    /// A rule has no expressions.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The policy routing of the rules.
    #[error("cannot read or change the policy routing of TPROXY")]
    Routing(#[source] io::Error),
}

impl NfTablesError {
    pub(super) fn refused(change: Option<&Change>, refusal: &Refusal) -> Self {
        Self::Refused {
            change: change.map_or_else(|| "the batch".to_owned(), Change::summary),
            reason: reason(refusal),
            errno: refusal.errno,
        }
    }

    pub(super) fn lacking(query: &Query, error: QueryError) -> Self {
        let refusal = match error {
            QueryError::Refused(refusal) => refusal,
            other => return other.into(),
        };
        let (kind, name) = match query {
            Query::Match { name, .. } => ("match", name.as_str()),
            Query::Target { name, .. } => ("target", name.as_str()),
            _ => ("answer", ""),
        };
        Self::NoExtension {
            kind,
            name: name.to_owned(),
            reason: reason(&refusal),
            modules: modules::of_extension(query),
        }
    }
}

impl From<QueryError> for NfTablesError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Socket(source) => Self::Socket(source),
            QueryError::Malformed(source) => Self::Malformed(source),
            QueryError::Refused(refusal) => Self::Unreadable {
                reason: reason(&refusal),
            },
            QueryError::Interrupted => Self::Unsettled { attempts: ATTEMPTS },
        }
    }
}

/// The kernel's message, if it sent one, and the name of the error number.
fn reason(refusal: &Refusal) -> String {
    let errno = Errno::from_raw(refusal.errno);
    match &refusal.text {
        Some(text) => format!("{text} ({errno})"),
        None => errno.to_string(),
    }
}
