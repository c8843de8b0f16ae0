//! The released versions of the CNI specification.

use std::fmt;
use std::str::FromStr;

/// A released version of the CNI specification.
///
/// Versions are ordered by release, so they can be compared: `version >= SpecVersion::V0_4_0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecVersion {
    /// 0.1.0, also the version of a configuration without `cniVersion`.
    V0_1_0,
    /// 0.2.0, which added the `VERSION` command.
    V0_2_0,
    /// 0.3.0, which replaced `ip4` and `ip6` with the list `ips`.
    V0_3_0,
    /// 0.3.1.
    V0_3_1,
    /// 0.4.0, which added `CHECK`.
    V0_4_0,
    /// 1.0.0, which removed `version` from the items of `ips`.
    V1_0_0,
    /// 1.1.0, which added `GC`, `STATUS` and more keys for interfaces and routes.
    V1_1_0,
}

/// The shape of a result; versions with the same shape differ in optional keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultShape {
    /// 0.1.0 and 0.2.0: `ip4` and `ip6`, each with one address and its routes.
    PerFamily,
    /// 0.3.0 to 0.4.0: `interfaces`, `routes` and `ips`, each address with its `version`.
    VersionedIps,
    /// 1.0.0 and later: the same without `version`.
    PlainIps,
}

/// A version that is not one of [`SpecVersion::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CNI version `{found}` is not one of {}", join(SpecVersion::ALL))]
pub struct UnknownVersion {
    /// The version.
    pub found: String,
}

impl SpecVersion {
    /// Every version, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The newest version.
    pub const LATEST: Self = Self::V1_1_0;

    /// The version as written in `cniVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version of a configuration's `cniVersion`; an empty one means 0.1.0.
    pub fn of_config(text: &str) -> Result<Self, UnknownVersion> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        text.parse()
    }

    /// The shape of this version's results.
    pub const fn shape(self) -> ResultShape {
        match self {
            Self::V0_1_0 | Self::V0_2_0 => ResultShape::PerFamily,
            Self::V0_3_0 | Self::V0_3_1 | Self::V0_4_0 => ResultShape::VersionedIps,
            Self::V1_0_0 | Self::V1_1_0 => ResultShape::PlainIps,
        }
    }
}

impl FromStr for SpecVersion {
    type Err = UnknownVersion;

    /// Compares exactly, as the specification requires: `1.0` and `v1.0.0` are unknown.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| UnknownVersion {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `0.4.0, 1.0.0, 1.1.0`.
pub(crate) fn join(versions: &[SpecVersion]) -> String {
    let texts: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_exactly() {
        for version in SpecVersion::ALL {
            assert_eq!(version.as_str().parse(), Ok(*version));
        }
        for text in ["1.0", "v1.0.0", " 1.0.0", "1.2.0", "0.3", "0.1.0 "] {
            assert!(text.parse::<SpecVersion>().is_err(), "{text}");
            assert!(SpecVersion::of_config(text).is_err(), "{text}");
        }
        assert!("".parse::<SpecVersion>().is_err());
        assert_eq!(SpecVersion::of_config(""), Ok(SpecVersion::V0_1_0));
    }

    #[test]
    fn the_error_names_found_and_known_versions() {
        let error = "2.0.0".parse::<SpecVersion>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "CNI version `2.0.0` is not one of 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"
        );
    }

    #[test]
    fn versions_are_ordered_by_release() {
        assert!(SpecVersion::ALL.is_sorted());
        assert_eq!(SpecVersion::ALL.last(), Some(&SpecVersion::LATEST));
    }
}
