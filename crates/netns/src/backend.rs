//! The kernel interfaces for programming netfilter, and how to choose one.

use std::{fmt, iter};

/// A way to program netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `nf_tables` over netlink, encoded as `iptables-nft` does. Needs no program of the host.
    Netlink,
    /// `nf_tables` over netlink with native expressions, in tables of our own.
    NftNative,
    /// The host's `iptables-nft-restore`: `nf_tables` through `nft_compat`.
    IptablesNft,
    /// The host's `iptables-legacy-restore`: `x_tables`.
    IptablesLegacy,
}

/// Which back end to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The first that works. A back end that holds rules of ours already comes before the others.
    #[default]
    Auto,
    /// The same, but this one is tried first.
    Preferring(Backend),
    /// The first of these that works, in this order.
    FirstOf(&'static [Backend]),
    /// This one only.
    Only(Backend),
}

impl Backend {
    /// Every back end, in the order in which they are tried.
    pub const ALL: [Self; 4] = [
        Self::Netlink,
        Self::NftNative,
        Self::IptablesNft,
        Self::IptablesLegacy,
    ];

    /// The name in the network configuration (`backend`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Netlink => "netlink",
            Self::NftNative => "nft-native",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        }
    }

    /// The back end with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.as_str() == name)
    }
}

impl BackendChoice {
    pub(crate) fn candidates(self) -> Vec<Backend> {
        match self {
            Self::Auto => Backend::ALL.to_vec(),
            Self::Preferring(first) => {
                let others = Backend::ALL.into_iter().filter(|other| *other != first);
                iter::once(first).chain(others).collect()
            }
            Self::FirstOf(candidates) => candidates.to_vec(),
            Self::Only(backend) => vec![backend],
        }
    }

    /// Whether existing rules of ours may decide the back end.
    pub(crate) fn follows_existing_rules(self) -> bool {
        matches!(self, Self::Auto | Self::Preferring(_))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
