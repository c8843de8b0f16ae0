//! Compile — an interception into the rules that carry it out, in the order of the contract.

mod dns;
mod inbound;
mod outbound;
mod shorthand;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::interception::{Interception, Mode};
use crate::ruleset::{Family, RuleSet};

/// Which of the two known rule sets to produce (`ruleset` in the network configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The rules of the documented dump.
    #[default]
    Asm,
    /// The rules that current Istio programs for the same settings.
    Istio,
}

/// A text that names neither rule set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no rule set: allowed are `asm` and `istio`")]
pub struct UnknownDialect(String);

/// A setting that this version reads but cannot carry out.
///
/// A pod that asks for it is refused: it would otherwise start without what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Transparent proxying.
    #[error(
        "interception mode TPROXY is not carried out by this version: \
         set `sidecar.istio.io/interceptionMode` to REDIRECT"
    )]
    Tproxy,
}

/// The rules for one family, in the order of the contract.
///
/// The same interception always gives the same rules.
pub fn compile(
    interception: &Interception,
    dialect: Dialect,
    family: Family,
) -> Result<RuleSet, Unsupported> {
    match interception.mode {
        Mode::Redirect => {}
        Mode::Tproxy(_) => return Err(Unsupported::Tproxy),
    }
    let mut rules = RuleSet::new(family);
    inbound::compile(interception, &mut rules);
    outbound::enter(interception, dialect, &mut rules);
    outbound::pass_proxy_through(interception, dialect, &mut rules);
    dns::compile(interception, &mut rules);
    outbound::capture(interception, &mut rules);
    Ok(rules)
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
