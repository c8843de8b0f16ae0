//! Settings with an environment variable but no flag: owner groups and the IPv4 loopback range.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::{Gid, network};
use mesh_cni_rules::istio::interception::OwnerGroups;
use mesh_cni_rules::value::{InvalidItem, Selected, list, single, wildcard_or_list};

use super::account_file::{self, GROUPS};
use super::error::{Origin, SettingError};
use super::settings::{Setting, Settings, expecting, or_empty, present, refusal};

const INCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS";
const EXCLUDE: &str = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE";
const LOOPBACK: &str = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR";

/// The most groups that fit into one rule.
const MOST_GROUPS: usize = 64;
const EXPECTED_GROUP: &str =
    "a group: allowed are numbers from 0 to 4294967294 and names in /etc/group";

const EXPECTED_LOOPBACK: &str =
    "an IPv4 address range: allowed are CIDRs such as 127.0.0.1/32 and 127.0.0.0/8";

/// The groups whose outbound traffic is redirected.
pub(super) fn owner_groups(settings: &Settings<'_>) -> Result<OwnerGroups, SettingError> {
    let included = settings.variable(INCLUDE).unwrap_or_else(|| "*".to_owned());
    let excluded = settings.variable(EXCLUDE).unwrap_or_default();
    let file = group_file(settings, &[(INCLUDE, &included), (EXCLUDE, &excluded)])?;
    let group = expecting(EXPECTED_GROUP, |text| {
        text.parse()
            .ok()
            .or_else(|| account_file::id_of(&file, text))
    });
    let only =
        wildcard_or_list(&included, or_empty(&group)).map_err(invalid(INCLUDE, &included))?;
    let only = match only {
        Selected::All => Selected::All,
        Selected::Only(groups) => Selected::Only(present(groups)),
    };
    let except = list(&excluded, or_empty(&group)).map_err(invalid(EXCLUDE, &excluded))?;
    let except = present(except);
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

/// The IPv4 loopback range, if the environment sets it.
pub(super) fn ipv4_loopback(settings: &Settings<'_>) -> Result<Option<IpNetwork>, SettingError> {
    let Some(text) = settings.variable(LOOPBACK) else {
        return Ok(None);
    };
    let parse = |text: &str| network(text).ok().filter(IpNetwork::is_ipv4);
    single(&text, expecting(EXPECTED_LOOPBACK, parse))
        .map(Some)
        .map_err(invalid(LOOPBACK, &text))
}

/// Reads the group file if one of the variables contains a name; otherwise returns an empty text.
fn group_file(settings: &Settings<'_>, set: &[(&str, &str)]) -> Result<String, SettingError> {
    let has_name = |value: &str| wildcard_or_list(value, or_empty(str::parse::<Gid>)).is_err();
    let Some((variable, _)) = set.iter().find(|(_, value)| has_name(value)) else {
        return Ok(String::new());
    };
    settings
        .read_file(GROUPS)
        .map_err(|source| SettingError::Unreadable {
            origin: Origin::Environment((*variable).to_owned()),
            path: GROUPS,
            source,
        })
}

fn invalid(variable: &str, value: &str) -> impl FnOnce(InvalidItem) -> SettingError {
    refusal(Setting {
        value: value.to_owned(),
        origin: Origin::Environment(variable.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::init::flags::GivenFlags;

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
        let given = GivenFlags::default();
        let settings = Settings::new(&given, &lookup, &read);
        owner_groups(&settings).map_err(|error| error_reporter::Report::new(error).to_string())
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
    fn an_unknown_name_is_refused_with_its_position() {
        let error = with("7,meshes", "", Ok(FILE)).unwrap_err();
        assert_eq!(
            error,
            "environment ISTIO_OUTBOUND_OWNER_GROUPS = `7,meshes`: `meshes` at position 3 is not a \
             group: allowed are numbers from 0 to 4294967294 and names in /etc/group"
        );
    }

    #[test]
    fn empty_items_are_skipped() {
        let except = OwnerGroups::Except(vec![Gid(0), Gid(7)]);
        assert_eq!(with("*", ",root,,7, ,", Ok(FILE)), Ok(except));
        let only = OwnerGroups::Only(vec![Gid(7)]);
        assert_eq!(with("7,", "", Ok(FILE)), Ok(only));
    }

    #[test]
    fn only_names_need_the_file() {
        let missing = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(
            with("7", "", missing()),
            Ok(OwnerGroups::Only(vec![Gid(7)]))
        );
        let error = with("*", "7,mesh", missing()).unwrap_err();
        let start = "environment ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: cannot read /etc/group: ";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn both_lists_contradict_each_other() {
        let error = with("mesh", "root", Ok(FILE)).unwrap_err();
        assert!(
            error.contains("`mesh` and") && error.contains("`root`"),
            "{error}"
        );
    }
}
