//! The pod's addresses, which decide the families of its rules.

use std::net::IpAddr;

use mesh_cni_netfilter::only_ours;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, addresses, ipv6_addresses, read};
use mesh_cni_rules::{Mesh, is_usable, ownership, redirects};
use mesh_cni_spec::CniError;

use crate::error;

/// What the namespace adds to the addresses of the previous result.
#[derive(Default)]
pub(crate) struct NamespaceAddresses {
    /// The addresses to use if those of the previous result are not sufficient.
    pub(crate) instead: Option<Vec<IpAddr>>,
    /// IPv6 addresses that do not decide about the families.
    pub(crate) others: Vec<IpAddr>,
}

/// Looks at the addresses of the namespace.
///
/// Without a usable address in the previous result, as in a standalone call, they are those of the
/// namespace. If an earlier attachment of the same sandbox has IPv6 rules, its IPv6 addresses come
/// first, so that a second interface does not remove the rules that the first one needs.
pub(crate) fn from_namespace(
    previous: &[IpAddr],
    mesh: Mesh,
    netns: &NetNs,
    xtables: &Xtables,
) -> Result<NamespaceAddresses, CniError> {
    if previous.iter().any(|ip| ip.is_ipv6() && is_usable(*ip)) {
        return Ok(NamespaceAddresses::default());
    }
    if !previous.iter().copied().any(is_usable) {
        return Ok(NamespaceAddresses {
            instead: Some(all(netns)?),
            others: Vec::new(),
        });
    }
    let mut ipv6: Vec<_> = netns
        .run(ipv6_addresses)
        .map_err(|e| error::not_entered(&e))?
        .map_err(|e| error::addresses(&e))?
        .into_iter()
        .map(IpAddr::V6)
        .filter(|ip| is_usable(*ip))
        .collect();
    if ipv6.is_empty() || !redirects_ipv6(mesh, netns, xtables)? {
        return Ok(NamespaceAddresses {
            instead: None,
            others: ipv6,
        });
    }
    ipv6.extend(previous);
    Ok(NamespaceAddresses {
        instead: Some(ipv6),
        others: Vec::new(),
    })
}

/// The addresses of the namespace, at least one of them usable.
fn all(netns: &NetNs) -> Result<Vec<IpAddr>, CniError> {
    let found = netns
        .run(addresses)
        .map_err(|e| error::not_entered(&e))?
        .map_err(|e| error::addresses(&e))?;
    if found.iter().copied().any(is_usable) {
        Ok(found)
    } else {
        Err(error::no_address())
    }
}

fn redirects_ipv6(mesh: Mesh, netns: &NetNs, xtables: &Xtables) -> Result<bool, CniError> {
    let found = read(netns, xtables, BackendChoice::Auto, &[Family::V6])
        .map_err(|e| error::not_read(&e))?;
    Ok(found
        .rule_sets
        .iter()
        .any(|rules| redirects(&only_ours(rules, ownership(mesh)))))
}
