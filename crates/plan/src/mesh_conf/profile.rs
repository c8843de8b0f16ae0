//! The field `profile`: the meshes that are served.

use std::fmt;
use std::str::FromStr;

use mesh_cni_selector::{Mesh, MeshSet};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A mesh that is served and, for Istio, the defaults of `selection` and `ruleset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Profile {
    /// Istio's sidecars, as documented for Alibaba Cloud Service Mesh (ASM).
    Asm,
    /// Istio's sidecars, as in current Istio.
    Istio,
    /// Linkerd's proxies.
    Linkerd,
    /// Kuma's and Kong Mesh's sidecars.
    Kuma,
    /// Istio's ambient mode: pods without sidecars, which ztunnel serves.
    Ambient,
}

/// One profile or several, of which only one is of Istio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profiles([bool; Profile::ALL.len()]);

/// A name that is not a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfiles {
    /// A name that is not a profile.
    #[error("unknown profile `{0}`, expected `asm`, `istio`, `linkerd`, `kuma` or `ambient`")]
    Unknown(String),
    /// None.
    #[error("expected at least one of `asm`, `istio`, `linkerd`, `kuma` and `ambient`")]
    Empty,
    /// Two for the same pods.
    #[error("`asm` and `istio` exclude each other: both are for pods with container `istio-proxy`")]
    AsmAndIstio,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] = [
        Self::Asm,
        Self::Istio,
        Self::Linkerd,
        Self::Kuma,
        Self::Ambient,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asm => "asm",
            Self::Istio => "istio",
            Self::Linkerd => "linkerd",
            Self::Kuma => "kuma",
            Self::Ambient => "ambient",
        }
    }

    /// The mesh whose pods it is for.
    pub fn mesh(self) -> Mesh {
        match self {
            Self::Asm | Self::Istio => Mesh::Istio,
            Self::Linkerd => Mesh::Linkerd,
            Self::Kuma => Mesh::Kuma,
            Self::Ambient => Mesh::Ambient,
        }
    }
}

impl FromStr for Profile {
    type Err = InvalidProfiles;

    fn from_str(name: &str) -> Result<Self, InvalidProfiles> {
        let mut all = Self::ALL.into_iter();
        all.find(|profile| profile.as_str() == name)
            .ok_or_else(|| InvalidProfiles::Unknown(name.to_owned()))
    }
}

impl Profiles {
    /// These profiles.
    pub fn new(profiles: impl IntoIterator<Item = Profile>) -> Result<Self, InvalidProfiles> {
        let mut set = Self([false; Profile::ALL.len()]);
        for profile in profiles {
            set.0[profile as usize] = true;
        }
        match (set.contains(Profile::Asm), set.contains(Profile::Istio)) {
            (true, true) => Err(InvalidProfiles::AsmAndIstio),
            _ if set.iter().next().is_none() => Err(InvalidProfiles::Empty),
            _ => Ok(set),
        }
    }

    /// Whether it is one of them.
    pub fn contains(self, profile: Profile) -> bool {
        self.0[profile as usize]
    }

    /// The profiles, in the order of [`Profile::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Profile> {
        Profile::ALL
            .into_iter()
            .filter(move |profile| self.contains(*profile))
    }

    /// The profile for pods of that mesh, if it is served.
    pub fn of(self, mesh: Mesh) -> Option<Profile> {
        self.iter().find(|profile| profile.mesh() == mesh)
    }

    /// The meshes that are served.
    pub fn meshes(self) -> MeshSet {
        self.iter().map(Profile::mesh).collect()
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Self([true, false, false, false, false])
    }
}

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Profiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile or a list of profiles")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Profiles, E> {
        let profile = name.parse().map_err(E::custom)?;
        Profiles::new([profile]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Profiles, A::Error> {
        let mut profiles = Vec::new();
        while let Some(name) = names.next_element::<String>()? {
            profiles.push(name.parse().map_err(A::Error::custom)?);
        }
        Profiles::new(profiles).map_err(A::Error::custom)
    }
}
