//! The setting that causes most of the rules of a pod with too many.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::RuleSet;

use super::{Annotation, PodSettings};
use crate::limit::{TooManyRules, check_rule_count, count_of_families};
use crate::linkerd::Interception;
use crate::linkerd::compile::groups;
use crate::setting::SettingName;

impl PodSettings<'_> {
    /// Checks that the rules compiled from these settings are at most [`MAX_RULES`](crate::MAX_RULES).
    pub fn check_rule_count(
        &self,
        interception: &Interception,
        rule_sets: &[RuleSet],
    ) -> Result<(), TooManyRules> {
        check_rule_count(rule_sets, || {
            let (annotation, share) = shares(interception, rule_sets)
                .into_iter()
                .max_by_key(|(_, share)| *share)
                .unwrap_or((Annotation::SkipSubnets, 0));
            let found = self.find(annotation).map(|found| found.name);
            (
                found.unwrap_or(SettingName::Annotation(annotation.key())),
                share,
            )
        })
    }
}

/// How many rules each list causes.
fn shares(interception: &Interception, rule_sets: &[RuleSet]) -> [(Annotation, usize); 4] {
    let families: Vec<_> = rule_sets.iter().map(|rules| rules.family).collect();
    let of_families = |subnets: &[IpNetwork]| count_of_families(subnets, &families);
    let all = families.len();
    [
        (
            Annotation::SkipInboundPorts,
            groups(&interception.skipped_inbound_ports).len() * all,
        ),
        (
            Annotation::SkipOutboundPorts,
            groups(&interception.skipped_outbound_ports).len() * all,
        ),
        (
            Annotation::SkipSubnets,
            of_families(&interception.skipped_inbound_subnets),
        ),
        (
            Annotation::SkipOutboundSubnets,
            of_families(&interception.skipped_outbound_subnets),
        ),
    ]
}
