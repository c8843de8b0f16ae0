//! Live rules against wanted ones: the first difference, and what it means for packets.

use std::net::{IpAddr, SocketAddr};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::walk::{Fate, walk_on};
use mesh_cni_netfilter::{Drift, Packet, RuleSet, drift};
use mesh_cni_netns::Backend;
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_rules::interception::is_usable;

use super::wanted::{By, Wanted};
use crate::live::Live;

/// What came of it.
#[derive(Debug)]
pub(super) struct Comparison {
    /// `namespace/name`.
    pub(super) pod: String,
    /// What should stand.
    pub(super) wanted: Wanted,
    /// The back ends that hold rules of ours, where they are several.
    pub(super) rivals: Vec<Backend>,
    /// The first difference.
    pub(super) difference: Option<(Family, Drift)>,
    /// A packet that ends elsewhere than it should.
    pub(super) stray: Option<Stray>,
}

/// A packet that ends elsewhere than it should.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) packet: String,
    pub(super) wanted: Fate,
    pub(super) live: Fate,
}

impl Comparison {
    pub(super) fn new(pod: String, wanted: Wanted, live: &Live) -> Self {
        let pairs = || wanted.rule_sets.iter().zip(&live.rule_sets);
        let difference = pairs().find_map(|(wanted, found)| {
            let difference = drift(wanted, found, &OWNERSHIP)?;
            Some((wanted.family, difference))
        });
        let stray = pairs().find_map(|(wanted, found)| stray(wanted, found, live));
        let rivals = match &live.holders[..] {
            [] | [_] => Vec::new(),
            several => several.to_vec(),
        };
        Self {
            pod,
            wanted,
            rivals,
            difference,
            stray,
        }
    }

    pub(super) fn is_as_wanted(&self) -> bool {
        self.difference.is_none() && self.rivals.is_empty()
    }

    /// How many rules the pod should have, both families together.
    pub(super) fn rules_wanted(&self) -> usize {
        let sets = self.wanted.rule_sets.iter();
        let chains = sets
            .flat_map(|set| &set.tables)
            .flat_map(|table| &table.chains);
        chains.map(|chain| chain.rules.len()).sum()
    }

    pub(super) fn families_wanted(&self) -> Vec<String> {
        let sets = self.wanted.rule_sets.iter();
        let some = sets.filter(|set| !set.tables.is_empty());
        some.map(|set| set.family.to_string()).collect()
    }

    pub(super) fn should_have_none(&self) -> Option<&str> {
        match &self.wanted.by {
            By::Nobody(reason) => Some(reason),
            By::Plugin | By::OwnInit => None,
        }
    }
}

/// The first of some telling packets that ends elsewhere.
fn stray(wanted: &RuleSet, found: &RuleSet, live: &Live) -> Option<Stray> {
    let mut own = live.addresses.iter().copied();
    let own = own.find(|own| is_usable(*own) && Family::of_address(*own) == wanted.family)?;
    telling(own).into_iter().find_map(|text| {
        let packet = Packet::parse(&text).ok()?;
        let [wanted, live] = [wanted, found].map(|rules| walk_on(rules, &packet, &live.host).fate);
        // Where a walk cannot go on, it says nothing of the kernel.
        let known = !matches!(live, Fate::Undecided { .. });
        (known && wanted != live).then_some(Stray {
            packet: text,
            wanted,
            live,
        })
    })
}

/// What a pod lives on: its application calls, it is called, and it asks for names.
fn telling(own: IpAddr) -> Vec<String> {
    let (elsewhere, peer): (IpAddr, IpAddr) = match own {
        IpAddr::V4(_) => ([192, 0, 2, 10].into(), [192, 0, 2, 20].into()),
        IpAddr::V6(_) => (
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 10].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 20].into(),
        ),
    };
    let at = |address, port| SocketAddr::new(address, port);
    vec![
        format!("out tcp {} uid 1000", at(elsewhere, 80)),
        format!("in tcp {} from {}", at(own, 8080), at(peer, 40000)),
        format!("out tcp {} uid 1337", at(elsewhere, 80)),
        format!("out tcp {} uid 1337", at(own, 8080)),
        format!("out udp {} uid 1000", at(elsewhere, 53)),
    ]
}
