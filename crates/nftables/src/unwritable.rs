//! The error for rules that cannot be encoded.

use mesh_cni_netfilter::render::rule_spec;
use mesh_cni_netfilter::ruleset::Rule;
use thiserror::Error;

/// A rule without an equivalent in `nf_tables`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the rule `{rule}` cannot be written to nf_tables: it has a match or target that only iptables \
     supports"
)]
pub struct Unwritable {
    /// The rule, in the format of iptables.
    pub rule: String,
}

impl Unwritable {
    pub(crate) fn new(rule: &Rule) -> Self {
        Self {
            rule: rule_spec(rule),
        }
    }
}
