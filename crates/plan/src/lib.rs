//! What the CNI plugin does for a pod: facts and network configuration to a decision and rules.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod decide;
mod ipv6;
mod istio;
mod mesh_conf;

pub use decide::{Decision, PlanError, Redirection, decide, decide_by_name, rule_counts};
pub use ipv6::ipv6_without_rules;
pub use istio::ProxyRedirected;
pub use mesh_cni_rules::{Warning, WarningCode};
pub use mesh_conf::{
    BackendName, ConfError, Decoded, InvalidProfiles, Ipv6Mode, LogLevel, MeshConf, PLUGIN_TYPE,
    PodSourceName, Profile, Profiles, RulesetName, UNINSTALLED_MARK,
};
