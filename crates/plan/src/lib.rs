//! What the CNI plugin does for a pod: facts and network configuration to a decision and rules.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod ambient;
mod decide;
mod expected;
mod identity;
mod ipv6;
mod istio;
mod kuma;
mod linkerd;
mod mesh_conf;

pub use decide::{Decision, PlanError, Redirection, decide, decide_by_name, rule_counts};
pub use expected::ExpectedRules;
pub use identity::ProxyRedirected;
pub use ipv6::ipv6_without_rules;
pub use kuma::SidecarRedirected;
pub use mesh_cni_rules::{Warning, WarningCode};
pub use mesh_conf::{
    AmbientConf, BackendName, ConfError, Decoded, InvalidProfiles, IptablesMode, Ipv6Mode,
    LinkerdConf, LogLevel, MeshConf, PLUGIN_TYPE, PodSourceName, Profile, Profiles, RulesetName,
    UNINSTALLED_MARK,
};
