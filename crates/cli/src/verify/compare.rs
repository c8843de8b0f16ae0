//! Compares live rules with wanted rules: the first difference, and its effect on packets.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::walk::{Outcome, walk_in};
use mesh_cni_netfilter::{Drift, Packet, PortNames, RuleSet, differences};
use mesh_cni_netns::Backend;
use mesh_cni_rules::{Mesh, compared, is_usable, port_names, proxy_sender};
use mesh_cni_selector::PodFacts;

use super::wanted::{By, Wanted};
use crate::failure::Exit;
use crate::live::Live;

/// The result of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The pod's namespace.
    pub(super) namespace: String,
    /// The pod's name.
    pub(super) name: String,
    /// The rules that the pod should have.
    pub(super) wanted: Wanted,
    /// The back ends that hold rules of ours, if there are several.
    pub(super) conflicting: Vec<Backend>,
    /// The differences, in the order of the rules.
    pub(super) differences: Vec<(Family, Drift)>,
    /// A packet that ends elsewhere than it should.
    pub(super) misrouted: Option<Misrouted>,
    /// The names of the sidecar's ports.
    pub(super) ports: PortNames,
}

/// A packet that ends elsewhere than it should.
#[derive(Debug)]
pub(super) struct Misrouted {
    pub(super) packet: String,
    pub(super) wanted: Outcome,
    pub(super) live: Outcome,
}

impl Comparison {
    pub(super) fn new(facts: &PodFacts, wanted: Wanted, live: &Live) -> Self {
        let [wanted_sets, live_sets] = [&wanted.rule_sets[..], &live.rule_sets[..]].map(|sets| {
            wanted
                .mesh
                .map_or(Cow::Borrowed(sets), |mesh| compared(mesh, sets))
        });
        let pairs = || wanted_sets.iter().zip(&*live_sets);
        let ports = port_names(wanted.mesh.unwrap_or(Mesh::Istio));
        let proxy = proxy_sender(wanted.mesh.unwrap_or(Mesh::Istio));
        let ownership = &wanted.ownership;
        let differences = pairs().flat_map(|(wanted, found)| {
            let differences = differences(wanted, found, ownership);
            let of_family = |difference| (wanted.family, difference);
            differences.into_iter().map(of_family)
        });
        let differences = differences.collect();
        let misrouted = pairs().find_map(|(wanted, found)| misrouted(wanted, found, live, proxy));
        let conflicting = match &live.holders[..] {
            [] | [_] => Vec::new(),
            several => several.to_vec(),
        };
        Self {
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
            wanted,
            conflicting,
            differences,
            misrouted,
            ports,
        }
    }

    /// `namespace/name`.
    pub(super) fn pod(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(super) fn exit(&self) -> Exit {
        if self.is_as_wanted() {
            Exit::Done
        } else {
            Exit::No
        }
    }

    pub(super) fn is_as_wanted(&self) -> bool {
        self.differences.is_empty() && self.conflicting.is_empty()
    }

    /// The number of rules that the pod should have, for all families.
    pub(super) fn rules_wanted(&self) -> usize {
        self.wanted
            .rule_sets
            .iter()
            .flat_map(|set| &set.tables)
            .flat_map(|table| &table.chains)
            .map(|chain| chain.rules.len())
            .sum()
    }

    pub(super) fn families_wanted(&self) -> Vec<String> {
        self.wanted
            .rule_sets
            .iter()
            .filter(|set| !set.tables.is_empty())
            .map(|set| set.family.to_string())
            .collect()
    }

    /// Why the pod should have no rules, if so.
    pub(super) fn reason_for_none(&self) -> Option<&str> {
        match &self.wanted.by {
            By::None(reason) => Some(reason),
            By::Plugin | By::OwnInit(_) => None,
        }
    }
}

/// The first of the sample packets that ends elsewhere than it should.
fn misrouted(wanted: &RuleSet, found: &RuleSet, live: &Live, proxy: &str) -> Option<Misrouted> {
    let own = live
        .addresses
        .iter()
        .copied()
        .find(|own| is_usable(*own) && Family::of_address(*own) == wanted.family)?;
    samples(own, proxy).into_iter().find_map(|text| {
        let packet = text.parse::<Packet>().ok()?;
        let [wanted, live] =
            [wanted, found].map(|rules| walk_in(rules, &packet, &live.interfaces).outcome);
        // An incomplete walk does not show where the kernel sends the packet.
        let known = !matches!(live, Outcome::Undecided { .. });
        (known && wanted != live).then_some(Misrouted {
            packet: text,
            wanted,
            live,
        })
    })
}

/// A pod's usual packets: requests of the application and of the proxy, a request to the pod, and a
/// DNS query.
fn samples(own: IpAddr, proxy: &str) -> Vec<String> {
    let (server, peer): (IpAddr, IpAddr) = match own {
        IpAddr::V4(_) => ([192, 0, 2, 10].into(), [192, 0, 2, 20].into()),
        IpAddr::V6(_) => (
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 10].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 20].into(),
        ),
    };
    let at = |address, port| SocketAddr::new(address, port);
    vec![
        format!("out tcp {} uid 1000", at(server, 80)),
        format!("in tcp {} from {}", at(own, 8080), at(peer, 40000)),
        format!("out tcp {} {proxy}", at(server, 80)),
        format!("out tcp {} {proxy}", at(own, 8080)),
        format!("out udp {} uid 1000", at(server, 53)),
    ]
}
