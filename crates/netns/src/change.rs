//! The result of applying or removing rules.

use std::fmt;

use crate::backend::Backend;

/// The result of a call that changes rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The back end that made the change.
    pub backend: Backend,
    /// What it changed.
    pub change: Change,
}

/// What changed in the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing: the wanted rules existed already. They keep their counters.
    Unchanged,
    /// The namespace had no rules of ours before.
    Created,
    /// Other rules of ours were replaced.
    Replaced,
    /// Rules of ours were removed.
    Removed,
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
