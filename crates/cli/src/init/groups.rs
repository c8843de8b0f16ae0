//! Settings that only the environment carries: owner groups and the IPv4 loopback range.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::{Gid, network};
use mesh_cni_rules::interception::OwnerGroups;
use mesh_cni_rules::value::{InvalidItem, Selected, list, single, wildcard_or_list};

use super::error::{Origin, SettingError};
use super::group_file;
use super::settings::{Lookup, ReadFile};

const INCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS";
const EXCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE";
const LOOPBACK: &str = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR";

/// More than these do not fit into one rule.
const MOST_GROUPS: usize = 64;
const EXPECTED_GROUP: &str =
    "a group: allowed are numbers from 0 to 4294967294 and names that stand in /etc/group";

const EXPECTED_LOOPBACK: &str =
    "an IPv4 address range: allowed are CIDRs such as 127.0.0.1/32 and 127.0.0.0/8";

/// Whose outbound traffic is redirected.
pub(super) fn owner_groups(
    lookup: Lookup<'_>,
    read: ReadFile<'_>,
) -> Result<OwnerGroups, SettingError> {
    let included = set(lookup, INCLUDE).unwrap_or_else(|| "*".to_owned());
    let excluded = set(lookup, EXCLUDE).unwrap_or_default();
    let file = names(read, &[(INCLUDE, &included), (EXCLUDE, &excluded)])?;
    let group = |text: &str| Gid::parse(text).or_else(|| group_file::number_of(&file, text));
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

/// The group file, where one of the settings has a name in it: numbers need no file.
fn names(read: ReadFile<'_>, settings: &[(&str, &str)]) -> Result<String, SettingError> {
    let needs_no_file = |value: &str| wildcard_or_list(value, Gid::parse, EXPECTED_GROUP).is_ok();
    let Some((variable, _)) = settings.iter().find(|(_, value)| !needs_no_file(value)) else {
        return Ok(String::new());
    };
    read(group_file::PATH).map_err(|source| SettingError::Unreadable {
        origin: Origin::Environment((*variable).to_owned()),
        path: group_file::PATH,
        source,
    })
}

fn in_(variable: &str, value: &str) -> impl FnOnce(InvalidItem) -> SettingError {
    let (origin, value) = (Origin::Environment(variable.to_owned()), value.to_owned());
    move |problem| SettingError::Item {
        origin,
        value,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::failure::chain;

    const FILE: &str = "root:x:0:\nmesh:x:1337:\n";

    fn with(included: &str, excluded: &str, file: io::Result<&str>) -> Result<OwnerGroups, String> {
        let lookup = |name: &str| match name {
            INCLUDE => Some(included.to_owned()),
            EXCLUDE => Some(excluded.to_owned()),
            _ => None,
        };
        let file = file.map_err(|error| error.kind());
        let read = |path: &str| {
            assert_eq!(path, "/etc/group");
            file.map(str::to_owned).map_err(io::Error::from)
        };
        owner_groups(&lookup, &read).map_err(|error| chain(&error))
    }

    #[test]
    fn groups_are_names_or_numbers() {
        let only = OwnerGroups::Only(vec![Gid(1337), Gid(7), Gid(0)]);
        assert_eq!(with("mesh, 7 ,root,1337", "", Ok(FILE)), Ok(only));
        let except = OwnerGroups::Except(vec![Gid(0), Gid(9)]);
        assert_eq!(with("*", "root,9", Ok(FILE)), Ok(except));
        assert_eq!(with("", "", Ok(FILE)), Ok(OwnerGroups::All));
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_where_it_stands() {
        let told = with("7,meshes", "", Ok(FILE)).unwrap_err();
        assert_eq!(
            told,
            "environment ISTIO_OUTBOUND_OWNER_GROUPS = `7,meshes`: `meshes` at position 3 is not a \
             group: allowed are numbers from 0 to 4294967294 and names that stand in /etc/group"
        );
        let told = with("*", "root,,7", Ok(FILE)).unwrap_err();
        assert!(
            told.contains("_EXCLUDE = `root,,7`: `` at position 6"),
            "{told}"
        );
    }

    #[test]
    fn only_names_need_the_file() {
        let missing = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(
            with("7", "", missing()),
            Ok(OwnerGroups::Only(vec![Gid(7)]))
        );
        let told = with("*", "7,mesh", missing()).unwrap_err();
        let start = "environment ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: cannot read /etc/group: ";
        assert!(told.starts_with(start), "{told}");
    }

    #[test]
    fn both_lists_contradict_each_other() {
        let told = with("mesh", "root", Ok(FILE)).unwrap_err();
        assert!(
            told.contains("`mesh` and") && told.contains("`root`"),
            "{told}"
        );
    }
}
