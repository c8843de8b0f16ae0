//! The addresses by which the families of a pod's rules are found.

use std::net::IpAddr;

use mesh_cni_netfilter::only_ours;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, addresses, ipv6_addresses, read};
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_rules::interception::is_usable;
use mesh_cni_spec::CniError;

use crate::error;

/// The addresses to go by where those that the plugin before told say too little; `None` where they
/// are enough.
///
/// Where it told none that can be used, as to a plugin that stands alone, they are those of the
/// namespace. And where an earlier attachment of the same sandbox has IPv6 rules, its IPv6 addresses
/// come first: a second interface takes no rules away that the first one needs.
pub(crate) fn beyond(
    told: &[IpAddr],
    netns: &NetNs,
    xtables: &Xtables,
) -> Result<Option<Vec<IpAddr>>, CniError> {
    if told.iter().copied().any(is_usable_six) {
        return Ok(None);
    }
    if !told.iter().copied().any(is_usable) {
        return in_namespace(netns).map(Some);
    }
    let here = netns.run(ipv6_addresses);
    let here = here.map_err(|e| error::not_entered(&e))?;
    let here = here.map_err(|e| error::addresses(&e))?;
    let six = here.into_iter().map(IpAddr::V6).filter(|ip| is_usable(*ip));
    let six: Vec<_> = six.collect();
    if six.is_empty() || !has_rules_for_six(netns, xtables)? {
        return Ok(None);
    }
    Ok(Some([six.as_slice(), told].concat()))
}

/// The addresses of the namespace, one of which can be used.
fn in_namespace(netns: &NetNs) -> Result<Vec<IpAddr>, CniError> {
    let here = netns.run(addresses).map_err(|e| error::not_entered(&e))?;
    let here = here.map_err(|e| error::addresses(&e))?;
    if here.iter().copied().any(is_usable) {
        Ok(here)
    } else {
        Err(error::no_address())
    }
}

fn is_usable_six(address: IpAddr) -> bool {
    address.is_ipv6() && is_usable(address)
}

fn has_rules_for_six(netns: &NetNs, xtables: &Xtables) -> Result<bool, CniError> {
    let found = read(netns, xtables, BackendChoice::Auto, &[Family::V6]);
    let found = found.map_err(|e| error::not_read(&e))?;
    let ours = found
        .rule_sets
        .iter()
        .map(|rules| only_ours(rules, &OWNERSHIP));
    Ok(ours.into_iter().any(|rules| !rules.tables.is_empty()))
}
