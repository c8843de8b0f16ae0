//! What a mesh defines by convention, whatever the settings of a pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use mesh_cni_netfilter::{Family, Ownership, PortNames, RuleSet, TableName, only_ours};
use mesh_cni_selector::Mesh;

use crate::{istio, kuma, linkerd};

/// What is ours in the network namespace of a pod of that mesh. Everything else belongs to others.
pub fn ownership(mesh: Mesh) -> &'static Ownership {
    match mesh {
        Mesh::Istio => &istio::OWNERSHIP,
        Mesh::Linkerd => &linkerd::OWNERSHIP,
        Mesh::Kuma => &kuma::OWNERSHIP,
    }
}

/// What is ours in the network namespace of a pod of any mesh.
pub static ANY_MESH: LazyLock<Ownership> = LazyLock::new(|| {
    let all = Mesh::ALL.map(ownership);
    Ownership {
        chains: all
            .iter()
            .flat_map(|of| of.chains.iter().cloned())
            .collect(),
        marks: all.iter().flat_map(|of| of.marks.iter().copied()).collect(),
    }
});

/// The meshes whose rules are among these.
pub fn meshes_in(rules: &RuleSet) -> impl Iterator<Item = Mesh> {
    Mesh::ALL
        .into_iter()
        .filter(|mesh| redirects(&only_ours(rules, ownership(*mesh))))
}

/// The ports on which the sidecar listens, with what listens there.
pub fn port_names(mesh: Mesh) -> PortNames {
    match mesh {
        Mesh::Istio => istio::PORT_NAMES,
        Mesh::Linkerd => linkerd::PORT_NAMES,
        Mesh::Kuma => kuma::PORT_NAMES,
    }
}

/// Whether the sidecar connects to the application from [`inbound_passthrough`], which for IPv6 is
/// not an address of a new network namespace.
pub fn uses_passthrough(mesh: Mesh) -> bool {
    match mesh {
        Mesh::Istio | Mesh::Kuma => true,
        Mesh::Linkerd => false,
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
