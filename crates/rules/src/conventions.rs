//! What a mesh defines by convention, whatever the settings of a pod.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use mesh_cni_netfilter::{
    Drift, Family, Ownership, PortNames, RuleSet, TableName, drift, drift_all, only_ours,
};
use mesh_cni_selector::{Mesh, MeshSet};

use crate::{ambient, istio, kuma, linkerd, reject_ipv6};

/// What is ours in the network namespace of a pod of that mesh. Everything else belongs to others.
pub fn ownership(mesh: Mesh) -> &'static Ownership {
    match mesh {
        Mesh::Istio => &istio::OWNERSHIP,
        Mesh::Linkerd => &linkerd::OWNERSHIP,
        Mesh::Kuma => &kuma::OWNERSHIP,
        Mesh::Ambient => ambient::OWNERSHIP,
    }
}

/// What is ours in the network namespace of a pod of any mesh.
pub static ANY_MESH: LazyLock<Ownership> = LazyLock::new(|| merged(MeshSet::from_iter(Mesh::ALL)));

/// What is ours in the network namespace of a pod of one of these meshes.
pub fn ownership_of(meshes: MeshSet) -> Cow<'static, Ownership> {
    match meshes.only() {
        Some(mesh) => Cow::Borrowed(ownership(mesh)),
        None => Cow::Owned(merged(meshes)),
    }
}

fn merged(meshes: MeshSet) -> Ownership {
    let mut all = Ownership::default();
    for of in meshes.iter().map(ownership) {
        let chains = of.chains.iter().filter(|chain| !all.has_chain(chain));
        let chains: Vec<_> = chains.cloned().collect();
        all.chains.to_mut().extend(chains);
        all.marks.to_mut().extend_from_slice(&of.marks);
        let prefixes = all.comment_prefixes.to_mut();
        prefixes.extend_from_slice(&of.comment_prefixes);
        all.excludes_interfaces |= of.excludes_interfaces;
    }
    all
}

/// The meshes whose rules are among these. Those of Istio's sidecars and of ambient mode have the same
/// owner, and differ in the chain that only ambient mode has.
pub fn meshes_in(rules: &RuleSet) -> impl Iterator<Item = Mesh> {
    Mesh::ALL.into_iter().filter(|mesh| {
        let ours = only_ours(rules, ownership(*mesh));
        redirects(&ours)
            && match mesh {
                Mesh::Istio => !ambient::is_ambient(&ours),
                Mesh::Ambient => ambient::is_ambient(&ours),
                Mesh::Linkerd | Mesh::Kuma => true,
            }
    })
}

/// The meshes that have rules in the namespace of a pod of one of these, without those whose rules would be
/// replaced.
pub fn other_meshes(live: &[RuleSet], own: MeshSet) -> MeshSet {
    let is_own = |mesh: &Mesh| own.iter().any(|of| ownership(of) == ownership(*mesh));
    let found = live.iter().flat_map(meshes_in);
    found.filter(|mesh| !is_own(mesh)).collect()
}

/// The ports on which the proxy listens, with what listens there.
pub fn port_names(mesh: Mesh) -> PortNames {
    match mesh {
        Mesh::Istio => istio::PORT_NAMES,
        Mesh::Linkerd => linkerd::PORT_NAMES,
        Mesh::Kuma => kuma::PORT_NAMES,
        Mesh::Ambient => ambient::PORT_NAMES,
    }
}

/// What the text of a [`Packet`](mesh_cni_netfilter::Packet) of the proxy ends with: the user as which
/// the mesh usually runs its sidecar, or the mark of ztunnel.
pub fn proxy_sender(mesh: Mesh) -> &'static str {
    match mesh {
        Mesh::Istio => "uid 1337",
        Mesh::Linkerd => "uid 2102",
        Mesh::Kuma => "uid 5678",
        Mesh::Ambient => "mark 0x539",
    }
}

/// The ports on which the proxy listens in the namespace of the pod, whatever its settings.
pub fn proxy_ports(mesh: Mesh) -> RangeInclusive<u16> {
    match mesh {
        Mesh::Istio => istio::PROXY_PORTS,
        Mesh::Linkerd => linkerd::PROXY_PORTS,
        Mesh::Kuma => kuma::PROXY_PORTS,
        Mesh::Ambient => ambient::PROXY_PORTS,
    }
}

/// The first difference between rules of the mesh that were found and the rules of the settings that
/// they show; `None` if they are complete.
pub fn incomplete(mesh: Mesh, found: &RuleSet) -> Option<Drift> {
    let ours = only_ours(found, ownership(mesh));
    if ours.family == Family::V6 && !ours.tables.is_empty() && !redirects(&ours) {
        return drift(&reject_ipv6(), &ours, ownership(mesh));
    }
    match mesh {
        Mesh::Istio => istio::incomplete(&ours),
        Mesh::Linkerd => linkerd::incomplete(&ours),
        Mesh::Kuma => kuma::incomplete(&ours),
        Mesh::Ambient => ambient::incomplete(&ours),
    }
}

/// The first difference between the wanted rules of a mesh and those that were found.
///
/// Comments of Linkerd's rules do not count: they have no effect, and older versions of its programs
/// write others.
pub fn difference(mesh: Mesh, wanted: &[RuleSet], found: &[RuleSet]) -> Option<Drift> {
    drift_all(
        &compared(mesh, wanted),
        &compared(mesh, found),
        ownership(mesh),
    )
}

/// Rules of a mesh without what does not count in a comparison.
pub fn compared(mesh: Mesh, rule_sets: &[RuleSet]) -> Cow<'_, [RuleSet]> {
    match mesh {
        Mesh::Istio | Mesh::Kuma | Mesh::Ambient => Cow::Borrowed(rule_sets),
        Mesh::Linkerd => {
            let rule_sets = rule_sets.iter().cloned();
            rule_sets.map(RuleSet::without_comments).collect()
        }
    }
}

/// Whether the sidecar connects to the application from [`inbound_passthrough`], which for IPv6 is
/// not an address of a new network namespace.
pub fn uses_passthrough(mesh: Mesh) -> bool {
    match mesh {
        Mesh::Istio | Mesh::Kuma => true,
        Mesh::Linkerd | Mesh::Ambient => false,
    }
}

/// Whether rules of ours redirect traffic, and not only refuse it.
pub fn redirects(rules: &RuleSet) -> bool {
    let has = |table| {
        rules
            .table(table)
            .is_some_and(|table| !table.chains.is_empty())
    };
    has(TableName::Nat) || has(TableName::Mangle)
}

/// The source address of a sidecar's connections to the application in Istio and Kuma: 127.0.0.6/32
/// or `::6/128`.
pub fn inbound_passthrough(family: Family) -> IpNetwork {
    match family {
        Family::V4 => Ipv4Network::from(Ipv4Addr::new(127, 0, 0, 6)).into(),
        Family::V6 => Ipv6Network::from(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6)).into(),
    }
}

/// Whether other pods can reach the address: not loopback, not link-local, and not the proxy's
/// `::6` on `lo`.
pub fn is_usable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let passthrough = inbound_passthrough(Family::of_address(address));
    !link_local
        && address != passthrough.ip()
        && !address.is_loopback()
        && !address.is_unspecified()
}
