//! Compiles an interception into rules, in the order of the contract.

mod dns;
mod inbound;
mod outbound;
mod reject_ipv6;
mod shorthand;
mod tproxy;

use std::fmt;
use std::str::FromStr;

use mesh_cni_netfilter::{Family, RuleSet};
use thiserror::Error;

use crate::interception::{Interception, Mode};

pub use reject_ipv6::reject_ipv6;

/// Which rules to write (`ruleset` in the network configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The rules of the documented dump.
    #[default]
    Asm,
    /// The rules that current Istio writes for the same settings.
    Istio,
}

/// A text that is not a dialect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a valid rule set: allowed are `asm` and `istio`")]
pub struct UnknownDialect(String);

/// The rules for one family, in the order of the contract.
pub fn compile(interception: &Interception, dialect: Dialect, family: Family) -> RuleSet {
    let mut rules = RuleSet::new(family);
    inbound::compile(interception, &mut rules);
    outbound::enter(interception, dialect, &mut rules);
    outbound::exclude_proxy(interception, dialect, &mut rules);
    dns::compile(interception, &mut rules);
    outbound::capture(interception, &mut rules);
    match interception.mode {
        Mode::Redirect => {}
        Mode::Tproxy(routing) => tproxy::track_marks(interception, routing, &mut rules),
    }
    rules
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        match text {
            "asm" => Ok(Self::Asm),
            "istio" => Ok(Self::Istio),
            other => Err(UnknownDialect(other.to_owned())),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asm => "asm",
            Self::Istio => "istio",
        })
    }
}
