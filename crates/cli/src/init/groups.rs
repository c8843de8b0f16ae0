//! Settings that only the environment carries: owner groups and the IPv4 loopback range.

use ipnetwork::IpNetwork;
use mesh_cni_rules::interception::OwnerGroups;
use mesh_cni_rules::value::{Gid, InvalidItem, Selected, list, network, single, wildcard_or_list};
use nix::unistd::Group;

use super::error::{Origin, SettingError};
use super::settings::Lookup;

const INCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS";
const EXCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE";
const LOOPBACK: &str = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR";

/// More than these do not fit into one rule.
const MOST_GROUPS: usize = 64;
const EXPECTED_GROUP: &str =
    "a group: allowed are numbers from 0 to 4294967294 and names that this machine knows";

const EXPECTED_LOOPBACK: &str =
    "an IPv4 address range: allowed are CIDRs such as 127.0.0.1/32 and 127.0.0.0/8";

/// Whose outbound traffic is redirected.
pub(super) fn owner_groups(lookup: Lookup<'_>) -> Result<OwnerGroups, SettingError> {
    let included = set(lookup, INCLUDE).unwrap_or_else(|| "*".to_owned());
    let excluded = set(lookup, EXCLUDE).unwrap_or_default();
    let only =
        wildcard_or_list(&included, group, EXPECTED_GROUP).map_err(in_(INCLUDE, &included))?;
    let except = list(&excluded, group, EXPECTED_GROUP).map_err(in_(EXCLUDE, &excluded))?;
    match (only, except.is_empty()) {
        (Selected::All, true) => Ok(OwnerGroups::All),
        (Selected::All, false) => Ok(OwnerGroups::Except(except)),
        (Selected::Only(groups), true) if groups.len() > MOST_GROUPS => {
            Err(SettingError::TooManyGroups {
                variable: INCLUDE,
                value: included,
                count: groups.len(),
                most: MOST_GROUPS,
            })
        }
        (Selected::Only(groups), true) => Ok(OwnerGroups::Only(groups)),
        (Selected::Only(_), false) => Err(SettingError::BothGroups {
            include: INCLUDE,
            included,
            exclude: EXCLUDE,
            excluded,
        }),
    }
}

/// What counts as loopback in IPv4 rules, where the environment says so.
pub(super) fn ipv4_loopback(lookup: Lookup<'_>) -> Result<Option<IpNetwork>, SettingError> {
    let Some(text) = set(lookup, LOOPBACK) else {
        return Ok(None);
    };
    let four = |text: &str| network(text).filter(IpNetwork::is_ipv4);
    let range = single(&text, four, EXPECTED_LOOPBACK).map_err(in_(LOOPBACK, &text))?;
    Ok(Some(range))
}

fn set(lookup: Lookup<'_>, variable: &str) -> Option<String> {
    lookup(variable).filter(|value| !value.is_empty())
}

fn group(text: &str) -> Option<Gid> {
    if let Some(number) = Gid::parse(text) {
        return Some(number);
    }
    let named = Group::from_name(text).ok().flatten()?;
    Some(Gid(named.gid.as_raw()))
}

fn in_(variable: &str, value: &str) -> impl FnOnce(InvalidItem) -> SettingError {
    let (origin, value) = (Origin::Environment(variable.to_owned()), value.to_owned());
    move |problem| SettingError::Item {
        origin,
        value,
        problem,
    }
}
