//! The fields of the configuration that have a fixed set of values.

use std::fmt;

use serde::Deserialize;

/// How much the plugin logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// Also problems that do not stop an ADD.
    Warn,
    /// Also the decision for each pod.
    #[default]
    Info,
    /// Everything.
    Debug,
}

/// Which rules a redirected pod gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RulesetName {
    /// The documented dump.
    Asm,
    /// The rules of current Istio.
    Istio,
}

/// What happens to the IPv6 traffic of a redirected pod for which the mesh writes no IPv6 rules: its
/// first address is IPv4, and it does not use dual stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// It bypasses the proxy, as in Istio. A pod with an IPv6 address gets a warning.
    #[default]
    AsMesh,
    /// New inbound and outbound connections are refused in the pod, except over loopback.
    Reject,
    /// It is redirected if the pod has an IPv6 address, as with `ISTIO_DUAL_STACK`.
    Redirect,
}

/// How the rules are programmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BackendName {
    /// The first of the others that works.
    #[default]
    Auto,
    /// `nf_tables` over netlink, encoded as `iptables-nft` encodes it.
    Netlink,
    /// `nf_tables` over netlink, with native expressions.
    NftNative,
    /// The host's `iptables-nft-restore`.
    IptablesNft,
    /// The host's `iptables-legacy-restore`.
    IptablesLegacy,
}

/// Where the facts about a pod come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PodSourceName {
    /// The agent, or the API server if the agent does not answer and a kubeconfig exists.
    #[default]
    Auto,
    /// The agent's socket.
    Agent,
    /// The API server.
    Api,
    /// A directory of manifests.
    File,
    /// The annotations that the container runtime passes.
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
