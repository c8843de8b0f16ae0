//! The one thing that can be wrong with rules that are to be written.

use mesh_cni_netfilter::render::rule_spec;
use mesh_cni_netfilter::ruleset::Rule;
use thiserror::Error;

/// A rule for which there are no expressions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the rule `{rule}` cannot be written to nf_tables: it was read from outside, in words that only \
     iptables knows"
)]
pub struct Unwritable {
    /// The rule, in iptables' words.
    pub rule: String,
}

impl Unwritable {
    pub(crate) fn new(rule: &Rule) -> Self {
        Self {
            rule: rule_spec(rule),
        }
    }
}
