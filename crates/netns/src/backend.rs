//! The kernel interfaces by which rules can be programmed.

use std::fmt;

use thiserror::Error;

use crate::nf_tables::NfTablesError;
use crate::xtables::XtablesError;

/// A way to program netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `nf_tables` over netlink, as `iptables-nft` writes it: no program of the host is needed.
    Netlink,
    /// `nf_tables` over netlink in its own words, in tables of our own.
    NftNative,
    /// The host's `iptables-nft-restore`: `nf_tables` through `nft_compat`.
    IptablesNft,
    /// The host's `iptables-legacy-restore`: `x_tables`.
    IptablesLegacy,
}

/// Which back end to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The first that works; one that holds rules of ours already comes before all.
    #[default]
    Auto,
    /// The same, but this one is tried first.
    Preferring(Backend),
    /// The first of these that works, in this order.
    FirstOf(&'static [Backend]),
    /// This one or none.
    Only(Backend),
}

/// Why a back end did not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// One that talks to the kernel itself.
    #[error("{backend}")]
    NfTables {
        /// The back end.
        backend: Backend,
        /// Why.
        #[source]
        source: NfTablesError,
    },
    /// One that starts the host's programs.
    #[error(transparent)]
    Xtables(#[from] XtablesError),
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

    /// The back end of that name.
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
                std::iter::once(first).chain(others).collect()
            }
            Self::FirstOf(candidates) => candidates.to_vec(),
            Self::Only(backend) => vec![backend],
        }
    }

    /// Whether the back end may be another one where rules of ours stand there already.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Auto | Self::Preferring(_))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
