//! The state of a network namespace: its rules, interfaces and addresses.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::InterfaceName;
use mesh_cni_netfilter::walk::NetnsAddresses;
use mesh_cni_netns::{Backend, BackendChoice, NetNs, OpenError, Xtables, holders, read};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use crate::failure::Failure;

/// The state of a namespace.
pub(crate) struct Live {
    /// The back end that holds the rules.
    pub(crate) backend: Backend,
    /// Every back end that holds rules of ours.
    pub(crate) holders: Vec<Backend>,
    /// Both families, with counters.
    pub(crate) rule_sets: Vec<RuleSet>,
    /// The addresses of each interface.
    pub(crate) interfaces: NetnsAddresses,
    /// The addresses, in the order of their interfaces.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Opens the namespace at that path.
pub(crate) fn open(path: &Path) -> Result<NetNs, Failure> {
    NetNs::open(path).map_err(unopened)
}

/// Reads the state of a namespace.
pub(crate) fn state(netns: &NetNs) -> Result<Live, Failure> {
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let found = read(netns, &xtables, BackendChoice::Auto, &Family::ALL).map_err(needs_root)?;
    let holders = holders(netns, &xtables).map_err(needs_root)?;
    let (interfaces, addresses) = netns
        .run(|| io::Result::Ok((interfaces()?, mesh_cni_netns::addresses()?)))
        .map_err(needs_root)?
        .map_err(|error| Failure::environment(error).about("cannot read the addresses"))?;
    Ok(Live {
        backend: found.backend,
        holders,
        rule_sets: found.rule_sets,
        interfaces,
        addresses,
    })
}

pub(crate) fn unopened(error: OpenError) -> Failure {
    match error {
        OpenError::Missing { .. } | OpenError::Foreign { .. } => Failure::wrong(error)
            .hint("give --netns a path such as /run/netns/NAME, or --pid a process of the pod"),
        _ => needs_root(error),
    }
}

fn needs_root(error: impl Error + Send + Sync + 'static) -> Failure {
    Failure::environment(error)
        .hint("run it as root; iptables-save of iptables-nft or iptables-legacy must be installed")
}

/// The interfaces of the calling thread's namespace with their addresses, in the kernel's order.
fn interfaces() -> nix::Result<NetnsAddresses> {
    let mut names: Vec<InterfaceName> = Vec::new();
    let mut addresses: BTreeMap<InterfaceName, Vec<IpNetwork>> = BTreeMap::new();
    for found in getifaddrs()? {
        let Ok(name) = found.interface_name.parse::<InterfaceName>() else {
            continue;
        };
        let address = found.address.as_ref().and_then(ip);
        let mask = found.netmask.as_ref().and_then(ip);
        if let (Some(address), Some(mask)) = (address, mask)
            && let Ok(network) = IpNetwork::with_netmask(address, mask)
        {
            addresses.entry(name.clone()).or_default().push(network);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // The walk uses the first interface as the default route, which must not be `lo`.
    names.sort_by_key(|name| *name == InterfaceName::loopback());
    Ok(names.into_iter().fold(NetnsAddresses::new(), |all, name| {
        let addresses = addresses.remove(&name).unwrap_or_default();
        all.with_interface(name, addresses)
    }))
}

/// The IPv4 or IPv6 address; none for other address families.
fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
