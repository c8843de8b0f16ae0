//! The setting that causes most of the rules of a pod with too many.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, RuleSet};

use super::{List, PodSettings};
use crate::kuma::interception::{Flow, Interception};
use crate::limit::{TooManyRules, check_rule_count, count_of_families};

impl PodSettings<'_> {
    /// Checks that the rules compiled from these settings are at most [`MAX_RULES`](crate::MAX_RULES).
    pub fn check_rule_count(
        &self,
        interception: &Interception,
        rule_sets: &[RuleSet],
    ) -> Result<(), TooManyRules> {
        check_rule_count(rule_sets, || {
            let families: Vec<_> = rule_sets.iter().map(|rules| rules.family).collect();
            let (list, share) = shares(interception, &families)
                .into_iter()
                .max_by_key(|(_, share)| *share)
                .unwrap_or((List::ExcludeOutboundPorts, 0));
            (self.name_of(list), share)
        })
    }
}

/// How many rules each list causes.
fn shares(interception: &Interception, families: &[Family]) -> [(List, usize); 8] {
    let all = families.len();
    let of_families = |networks: &[IpNetwork]| count_of_families(networks, families);
    let ports = |flow: &Flow| match (flow.enabled, flow.include_ports.len()) {
        (false, _) => (0, 0),
        (true, 0) => (0, flow.exclude_ports.len() * all),
        (true, included) => (included * all, 0),
    };
    let Interception {
        inbound, outbound, ..
    } = interception;
    let (included_inbound, excluded_inbound) = ports(inbound);
    let (included_outbound, excluded_outbound) = ports(outbound);
    let sources = of_families(&inbound.exclude_networks);
    let virtual_networks = interception.virtual_networks.iter().map(|it| &it.network);
    [
        (List::IncludeInboundPorts, included_inbound),
        (List::ExcludeInboundPorts, excluded_inbound),
        (
            List::ExcludeInboundIps,
            if inbound.enabled { sources } else { 0 },
        ),
        (List::IncludeOutboundPorts, included_outbound),
        (List::ExcludeOutboundPorts, excluded_outbound),
        (
            List::ExcludeOutboundIps,
            of_families(&outbound.exclude_networks),
        ),
        (
            List::ExcludeOutboundForUids,
            interception.excluded_users.len() * all,
        ),
        (
            List::VirtualNetworks,
            count_of_families(virtual_networks, families) * 2,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Rules and the share of the list.
    fn count(list: List, items: &[&str], families: &[Family]) -> (usize, usize) {
        let mut config = json!({});
        let mut at: &mut Value = &mut config;
        for key in list.path().split('.') {
            at = &mut at[key];
        }
        *at = json!(items);
        let settings = PodSettings {
            config: Some(&config),
            ..PodSettings::default()
        };
        let interception = settings.resolve().expect("valid settings").interception;
        let rules = families
            .iter()
            .map(|family| interception.compile(*family).rule_count());
        let shares = shares(&interception, families);
        let share = shares.iter().find(|(of, _)| *of == list);
        (rules.sum(), share.map_or(0, |(_, share)| *share))
    }

    #[test]
    fn a_list_causes_as_many_rules_as_it_adds() {
        const PORTS: &[&str] = &["2001", "2002", "2003"];
        const RANGES: &[&str] = &["10.0.0.0/8", "172.16.0.1", "fd00::/8"];
        const NETWORKS: &[&str] = &["a+:10.0.0.0/8", "b:172.16.0.0/12", "c:fd00::/8"];
        let lists = [
            (List::IncludeInboundPorts, PORTS),
            (List::ExcludeInboundPorts, PORTS),
            (List::ExcludeInboundIps, RANGES),
            (List::IncludeOutboundPorts, PORTS),
            (List::ExcludeOutboundPorts, PORTS),
            (List::ExcludeOutboundIps, RANGES),
            (List::ExcludeOutboundForUids, &["1000", "tcp:80:1001", "7"]),
            (List::VirtualNetworks, NETWORKS),
        ];
        for families in [&[Family::V4][..], &Family::ALL] {
            for (list, items) in lists {
                let (all, share) = count(list, items, families);
                let (few, share_of_one) = count(list, &items[..1], families);
                assert_eq!(share - share_of_one, all - few, "{list:?}");
            }
        }
    }
}
