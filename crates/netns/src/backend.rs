//! The kernel interfaces by which rules can be programmed.

use std::fmt;

/// A way to program netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
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
    /// This one or none.
    Only(Backend),
}

impl Backend {
    /// Every back end, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::IptablesNft, Self::IptablesLegacy];

    /// The name in the network configuration (`backend`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        }
    }
}

impl BackendChoice {
    pub(crate) fn candidates(self) -> Vec<Backend> {
        match self {
            Self::Auto => Backend::ALL.to_vec(),
            Self::Only(backend) => vec![backend],
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
