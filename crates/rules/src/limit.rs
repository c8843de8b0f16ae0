//! The limit for the rules of one pod, over all settings and families.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, RuleSet};
use thiserror::Error;

use crate::setting::SettingName;

/// The largest number of rules for one pod, over all its families.
///
/// The kernel needs about 1 KiB of memory for each rule, and no limit of the pod counts it. This many
/// take about 2 MiB for a pod, or 220 MiB for a node with 110 pods, the kubelet's default. A pod
/// without settings has about 20 rules.
pub const MAX_RULES: usize = 2000;

/// The settings of a pod cause more rules than [`MAX_RULES`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{rules} rules are more than the limit of {MAX_RULES} for one pod: {setting} causes {share} of \
     them"
)]
#[non_exhaustive]
pub struct TooManyRules {
    /// The number of rules, over all families.
    pub rules: usize,
    /// The setting that causes most of them.
    pub setting: SettingName,
    /// How many it causes.
    pub share: usize,
}

/// Checks that the rules of a pod are at most [`MAX_RULES`]. If not, `largest` is the setting that causes
/// most of them, and how many it causes.
pub(crate) fn check_rule_count(
    rule_sets: &[RuleSet],
    largest: impl FnOnce() -> (SettingName, usize),
) -> Result<(), TooManyRules> {
    let rules = rule_sets.iter().map(RuleSet::rule_count).sum();
    if rules <= MAX_RULES {
        return Ok(());
    }
    let (setting, share) = largest();
    Err(TooManyRules {
        rules,
        setting,
        share,
    })
}

/// How many of the networks are of these families.
pub(crate) fn count_of_families<'a>(
    networks: impl IntoIterator<Item = &'a IpNetwork>,
    families: &[Family],
) -> usize {
    let is_counted = |network: &&IpNetwork| families.contains(&Family::of(network));
    networks.into_iter().filter(is_counted).count()
}
