//! The fields of our own in the plugin's network configuration.

mod decode;
mod names;

pub use decode::{ConfError, Decoded};
pub use names::{BackendName, LogLevel, PodSourceName, Profile, RulesetName};

use std::collections::BTreeMap;
use std::path::PathBuf;

use mesh_cni_rules::Dialect;
use mesh_cni_selector::{LabelSelector, NamespaceSet, Policy, SelectionMode};
use serde::Deserialize;

/// The plugin's name: `type` in a network configuration, and the name of its binary.
pub const PLUGIN_TYPE: &str = "mesh-cni";

/// How long the end is that Kubernetes gives to the names of a `DaemonSet`'s pods.
const GENERATED: usize = 5;

/// What an operator can set in the plugin's entry of a network configuration list.
///
/// Field names follow what operators of Istio CNI already have in their lists. Every field has a
/// default, so `{"type": "mesh-cni"}` is a whole entry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct MeshConf {
    /// What the log says: `debug`, `info`, `warn` or `error`.
    pub plugin_log_level: LogLevel,
    /// Namespaces whose pods are left alone; `*` and `?` are wildcards.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub exclude_namespaces: NamespaceSet,
    /// If set, only pods of these namespaces are looked at.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    pub include_namespaces: Option<NamespaceSet>,
    /// Pods of namespaces with such labels are left alone.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub exclude_namespace_selector: Option<LabelSelector>,
    /// Where the agent's socket and the plugin's log are.
    pub cni_agent_run_dir: PathBuf,
    /// The agent's own namespace.
    pub pod_namespace: Option<String>,
    /// The name of the agent's `DaemonSet`: its pods in `pod_namespace` start without anyone being
    /// asked about them.
    pub agent_daemonset: String,
    /// Sets `selection` and `ruleset` at once; each of them wins over it.
    pub profile: Profile,
    /// Which pods: `asm`, `asm-literal` or `istio`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub selection: Option<SelectionMode>,
    /// Which rules: `asm` (the documented dump) or `istio`.
    pub ruleset: Option<RulesetName>,
    /// How the kernel is programmed.
    pub backend: BackendName,
    /// Where facts about a pod come from.
    pub pod_source: PodSourceName,
    /// The directory of pod source `file`: `NAMESPACE_NAME.yaml`, `.yml` or `.json`.
    pub pod_dir: Option<PathBuf>,
    /// The kubeconfig of pod source `api`.
    pub kubeconfig: Option<PathBuf>,
    /// Interception settings for pods without the annotation, by the annotation's key or by its
    /// last part, such as `excludeOutboundPorts`. They serve pods of every kind: captured ranges of
    /// IPv6 alone are a warning for a pod that gets no IPv6 rules, where an annotation refuses it.
    pub defaults: BTreeMap<String, String>,
    /// Run without an earlier plugin in the list: no `prevResult` is not an error then.
    pub standalone: bool,
}

impl Default for MeshConf {
    fn default() -> Self {
        Self {
            plugin_log_level: LogLevel::default(),
            exclude_namespaces: Policy::default().exclude_namespaces,
            include_namespaces: None,
            exclude_namespace_selector: None,
            cni_agent_run_dir: PathBuf::from("/run/mesh-cni"),
            pod_namespace: None,
            agent_daemonset: "mesh-cni-agent".to_owned(),
            profile: Profile::default(),
            selection: None,
            ruleset: None,
            backend: BackendName::default(),
            pod_source: PodSourceName::default(),
            pod_dir: None,
            kubeconfig: None,
            defaults: BTreeMap::new(),
            standalone: false,
        }
    }
}

impl MeshConf {
    /// Which pods are redirected.
    pub fn policy(&self) -> Policy {
        let selection = self.selection.unwrap_or(match self.profile {
            Profile::Asm => SelectionMode::Asm,
            Profile::Istio => SelectionMode::Istio,
        });
        Policy {
            selection,
            exclude_namespaces: self.exclude_namespaces.clone(),
            include_namespaces: self.include_namespaces.clone(),
            exclude_namespace_selector: self.exclude_namespace_selector.clone(),
        }
    }

    /// Whether a pod is one of the agent's own, by the name that its `DaemonSet` gives: a pod that
    /// answers for the others must not wait for itself.
    pub fn is_agent_pod(&self, namespace: &str, name: &str) -> bool {
        let generated = name
            .strip_prefix(self.agent_daemonset.as_str())
            .and_then(|rest| rest.strip_prefix('-'));
        let suffix = |text: &str| {
            text.len() == GENERATED && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        self.pod_namespace.as_deref() == Some(namespace) && generated.is_some_and(suffix)
    }

    /// Which rules they get.
    pub fn dialect(&self) -> Dialect {
        match (self.ruleset, self.profile) {
            (Some(RulesetName::Asm), _) | (None, Profile::Asm) => Dialect::Asm,
            (Some(RulesetName::Istio), _) | (None, Profile::Istio) => Dialect::Istio,
        }
    }
}
