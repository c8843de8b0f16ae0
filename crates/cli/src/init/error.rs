//! Errors in the settings of `init`, and the flag or variable with the wrong value.

use std::{fmt, io};

use mesh_cni_netfilter::value::excerpt;
use mesh_cni_rules::value::InvalidItem;
use thiserror::Error;

/// A setting whose value cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SettingError {
    /// An item does not parse.
    #[error("{origin} = `{}`", excerpt(value, problem.position))]
    Item {
        origin: Origin,
        value: String,
        #[source]
        problem: InvalidItem,
    },
    /// A file that the setting needs.
    #[error("{origin}: cannot read {path}")]
    Unreadable {
        origin: Origin,
        path: &'static str,
        #[source]
        source: io::Error,
    },
    /// With these settings the rules do not apply to the probe.
    #[error("{probe} does not work with {other}: {why}")]
    Unprovable {
        probe: Origin,
        other: String,
        why: &'static str,
    },
    /// One rule has to contain all groups.
    #[error(
        "environment {variable} = `{}`: {count} groups, at most {most} are allowed",
        excerpt(value, 1)
    )]
    TooManyGroups {
        variable: &'static str,
        value: String,
        count: usize,
        most: usize,
    },
    /// Two back ends are asked for.
    #[error("{native} and {program} = `{value}`: only one of them can be set")]
    TwoBackEnds {
        native: Origin,
        program: Origin,
        value: String,
    },
    /// An include list and an exclude list contradict each other.
    #[error(
        "environment {include} = `{included}` and {exclude} = `{excluded}`: \
         only one of them can be set"
    )]
    BothGroups {
        include: &'static str,
        included: String,
        exclude: &'static str,
        excluded: String,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}
