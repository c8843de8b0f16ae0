//! What can go wrong between us and `nf_tables`.

use std::io;

use mesh_cni_nftables::{Change, Malformed, Query, Refusal, Unwritable};
use nix::errno::Errno;
use thiserror::Error;

use crate::nfnetlink::QueryError;

/// Rules that could not be read or changed over netlink.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NfTablesError {
    /// The kernel gave no socket, or broke it off.
    #[error("the netlink socket to nf_tables failed")]
    Socket(#[source] io::Error),
    /// The kernel has no `nf_tables`, or does not let us use it.
    #[error("the kernel does not tell its nf_tables rules: {reason}")]
    NotTold {
        /// What it said.
        reason: String,
    },
    /// The kernel lacks a match or target of `x_tables`, or `nft_compat`, through which it is called.
    #[error("the kernel has no {kind} `{name}` in nft_compat: {reason}")]
    NoExtension {
        /// `match` or `target`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the kernel said.
        reason: String,
    },
    /// What the kernel answered could not be read.
    #[error("the kernel answered what it never should")]
    Malformed(#[source] Malformed),
    /// The kernel refused a message of the batch, and thereby all of it.
    #[error("the kernel refused `{change}`: {reason}")]
    Refused {
        /// What the message asked for.
        change: String,
        /// What the kernel said.
        reason: String,
        /// The number of the error.
        errno: i32,
    },
    /// The kernel neither carried the batch out nor refused it.
    #[error("the kernel did not say whether it changed the rules")]
    Silent,
    /// Another program changed the rules each time between our look and our change.
    #[error(
        "another program keeps changing the rules of this namespace: given up after {attempts} attempts"
    )]
    Unsettled {
        /// How often it was tried.
        attempts: usize,
    },
    /// A rule has no expressions.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The policy routing that goes with the rules could not be read or changed.
    #[error("the policy routing of TPROXY could not be read or changed")]
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
        }
    }
}

impl From<QueryError> for NfTablesError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Socket(source) => Self::Socket(source),
            QueryError::Malformed(source) => Self::Malformed(source),
            QueryError::Refused(refusal) => Self::NotTold {
                reason: reason(&refusal),
            },
            QueryError::Interrupted => Self::Unsettled {
                attempts: super::ATTEMPTS,
            },
        }
    }
}

/// What the kernel says in its own words, and in those of its number.
fn reason(refusal: &Refusal) -> String {
    let errno = Errno::from_raw(refusal.errno);
    match &refusal.text {
        Some(text) => format!("{text} ({errno})"),
        None => errno.to_string(),
    }
}
