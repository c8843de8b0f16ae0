//! The setting that causes most of the rules of a pod with too many.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, RuleSet};

use super::reader::Reader;
use super::{Annotation, PodSettings};
use crate::istio::compile::Dialect;
use crate::istio::interception::{InboundCapture, Interception, Mode, OutboundRanges, agent_ports};
use crate::limit::{TooManyRules, check_rule_count, count_of_families};
use crate::setting::SettingName;

impl PodSettings<'_> {
    /// Checks that the rules compiled from these settings are at most [`MAX_RULES`](crate::MAX_RULES).
    pub fn check_rule_count(
        &self,
        interception: &Interception,
        dialect: Dialect,
        rule_sets: &[RuleSet],
    ) -> Result<(), TooManyRules> {
        check_rule_count(rule_sets, || {
            let families: Vec<_> = rule_sets.iter().map(|rules| rules.family).collect();
            let reader = Reader::new(self);
            // One of two names of the rerouted interfaces is set.
            let (annotation, share) = shares(interception, dialect, &families)
                .into_iter()
                .max_by_key(|(annotation, share)| (*share, reader.find(*annotation).is_some()))
                .unwrap_or((Annotation::ExcludeOutboundPorts, 0));
            let setting = reader.find(annotation).map(|found| found.setting);
            let name = setting.unwrap_or(SettingName::Annotation(annotation.key()));
            (name, share)
        })
    }
}

/// How many rules each list causes.
fn shares(
    interception: &Interception,
    dialect: Dialect,
    families: &[Family],
) -> [(Annotation, usize); 9] {
    let all = families.len();
    let of_families = |ranges: &[IpNetwork]| count_of_families(ranges, families);
    // With TPROXY a port has a rule for known and one for new connections, and an interface has rules
    // in two tables.
    let (per_inbound, tables) = match interception.mode {
        Mode::Redirect => (1, 1),
        Mode::Tproxy(_) => (2, 2),
    };
    let (excluded_inbound, included_inbound) = match &interception.inbound {
        InboundCapture::None => (0, 0),
        InboundCapture::AllExcept(ports) => {
            let own = agent_ports();
            (ports.iter().filter(|port| !own.contains(port)).count(), 0)
        }
        InboundCapture::Only(ports) => (0, ports.len() * per_inbound),
    };
    let per_excluded_outbound = match dialect {
        Dialect::Asm => 1,
        Dialect::Istio => 2,
    };
    let rerouted = interception.reroute_interfaces.len();
    let (included_ranges, rerouting) = match &interception.outbound_ranges {
        OutboundRanges::All => (0, rerouted * all),
        OutboundRanges::Only(ranges) => {
            let used = of_families(ranges);
            (used * (1 + rerouted), rerouted * used)
        }
    };
    let rerouting = rerouting + rerouted * all;
    let excluded_outbound = interception.exclude_outbound_ports.len() * per_excluded_outbound;
    let interfaces = interception.exclude_interfaces.len() * 2 * tables;
    [
        (Annotation::ExcludeInboundPorts, excluded_inbound * all),
        (Annotation::IncludeInboundPorts, included_inbound * all),
        (Annotation::ExcludeOutboundPorts, excluded_outbound * all),
        (
            Annotation::IncludeOutboundPorts,
            interception.outbound_ports.len() * all,
        ),
        (
            Annotation::ExcludeOutboundIpRanges,
            of_families(&interception.exclude_outbound_ranges),
        ),
        (Annotation::ExcludeInterfaces, interfaces * all),
        (Annotation::KubevirtInterfaces, rerouting),
        (Annotation::RerouteVirtualInterfaces, rerouting),
        (Annotation::IncludeOutboundIpRanges, included_ranges),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::istio::compile;

    /// Rules and the share of that annotation.
    fn count(
        annotations: &[(Annotation, &str)],
        dialect: Dialect,
        families: &[Family],
        of: Annotation,
    ) -> (usize, usize) {
        let annotations: BTreeMap<_, _> = annotations
            .iter()
            .map(|(annotation, value)| (annotation.key().to_owned(), (*value).to_owned()))
            .collect();
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        let interception = settings.resolve().expect("valid settings").interception;
        let rules = families
            .iter()
            .map(|family| compile(&interception, dialect, *family).rule_count());
        let shares = shares(&interception, dialect, families);
        let share = shares.iter().find(|(annotation, _)| *annotation == of);
        (rules.sum(), share.map_or(0, |(_, share)| *share))
    }

    #[test]
    fn a_list_causes_as_many_rules_as_it_adds() {
        const PORTS: &str = "2001,2002,2003,2004,2005";
        const RANGES: &str = "10.0.0.0/8,172.16.0.0/12,fd00::/8";
        const INTERFACES: &str = "veth1,veth2";
        let lists = [
            (Annotation::ExcludeInboundPorts, PORTS),
            (Annotation::IncludeInboundPorts, PORTS),
            (Annotation::ExcludeOutboundPorts, PORTS),
            (Annotation::IncludeOutboundPorts, PORTS),
            (Annotation::ExcludeOutboundIpRanges, RANGES),
            (Annotation::IncludeOutboundIpRanges, RANGES),
            (Annotation::ExcludeInterfaces, INTERFACES),
            (Annotation::RerouteVirtualInterfaces, INTERFACES),
            (Annotation::KubevirtInterfaces, INTERFACES),
        ];
        for mode in ["REDIRECT", "TPROXY"] {
            for dialect in [Dialect::Asm, Dialect::Istio] {
                for families in [&[Family::V4][..], &Family::ALL] {
                    for (list, value) in lists {
                        let mode = (Annotation::InterceptionMode, mode);
                        let count = |value| count(&[mode, (list, value)], dialect, families, list);
                        let one = value.split(',').next().unwrap_or_default();
                        let ((all, share), (few, share_of_one)) = (count(value), count(one));
                        let added = share - share_of_one;
                        assert_eq!(added, all - few, "{list:?} {mode:?} {dialect:?}");
                    }
                }
            }
        }
    }
}
