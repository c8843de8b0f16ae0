//! Compiles an interception into rules, in the order of the contract.

mod dns;
mod inbound;
mod outbound;
mod tproxy;

use std::fmt;
use std::str::FromStr;

use mesh_cni_netfilter::{Family, Match, RuleSet, Sense};
use thiserror::Error;

use super::interception::{Interception, Mode};
use crate::shorthand::{by_group, by_user};

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

/// One condition for each user of the proxy, then one for each group.
pub(crate) fn by_proxy(interception: &Interception) -> impl Iterator<Item = Match> {
    let groups = interception.proxy_gids.iter();
    interception
        .proxy_uids
        .iter()
        .map(|user| by_user(Sense::Is, *user))
        .chain(groups.map(|group| by_group(Sense::Is, *group)))
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
