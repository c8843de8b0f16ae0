//! The values that a field of the configuration can name.

use std::fmt;

use serde::Deserialize;

/// How much the plugin's log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// Also what was odd.
    Warn,
    /// Also each decision.
    #[default]
    Info,
    /// Also how it came about.
    Debug,
}

/// Sets selection and rule set at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As documented for ASM.
    #[default]
    Asm,
    /// As current Istio does.
    Istio,
}

/// Which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RulesetName {
    /// The documented dump.
    Asm,
    /// What current Istio programs.
    Istio,
}

/// How the kernel is programmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BackendName {
    /// The first of those below that works.
    #[default]
    Auto,
    /// `nf_tables` over netlink, encoded as iptables encodes it.
    Netlink,
    /// `nf_tables` over netlink, native expressions.
    NftNative,
    /// The host's `iptables-nft-restore`.
    IptablesNft,
    /// The host's `iptables-legacy-restore`.
    IptablesLegacy,
}

/// Where facts about a pod come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PodSourceName {
    /// The agent, then the API server where a kubeconfig is set.
    #[default]
    Auto,
    /// The agent's socket.
    Agent,
    /// The API server.
    Api,
    /// A directory of manifests.
    File,
    /// What the runtime hands over.
    Runtime,
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Netlink => "netlink",
            Self::NftNative => "nft-native",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        })
    }
}

impl fmt::Display for PodSourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Agent => "agent",
            Self::Api => "api",
            Self::File => "file",
            Self::Runtime => "runtime",
        })
    }
}
