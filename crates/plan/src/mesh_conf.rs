//! The plugin's own fields in its network configuration.

mod ambient;
mod decode;
mod linkerd;
mod names;
mod profile;

pub use ambient::AmbientConf;
pub use decode::{ConfError, Decoded};
pub use linkerd::{IptablesMode, LinkerdConf};
pub use names::{BackendName, Ipv6Mode, LogLevel, PodSourceName, RulesetName};
pub use profile::{InvalidProfiles, Profile, Profiles};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use mesh_cni_rules::istio::Dialect;
use mesh_cni_rules::linkerd::settings::Annotation;
use mesh_cni_selector::{AmbientPolicy, LabelSelector, Mesh, NamespaceSet, Policy, SelectionMode};
use serde::Deserialize;

/// The plugin's name: `type` in a network configuration, and the name of its binary.
pub const PLUGIN_TYPE: &str = "mesh-cni";

/// A file beside the plugin's binary. While it exists, the plugin passes every pod through: it was uninstalled, and
/// its binary stays only because another plugin's configuration names it.
pub const UNINSTALLED_MARK: &str = "mesh-cni.uninstalled";

/// The length of the suffix that Kubernetes gives to the names of a `DaemonSet`'s pods.
const POD_SUFFIX_LENGTH: usize = 5;

/// What an operator can set in the plugin's entry of a network configuration list.
///
/// The field names are those of Istio CNI where it has the same field. Every field has a default, so
/// `{"type": "mesh-cni"}` is a complete entry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct MeshConf {
    /// The least important level that is logged: `debug`, `info`, `warn` or `error`.
    pub plugin_log_level: LogLevel,
    /// Namespaces whose pods are skipped; `*` and `?` are wildcards.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub exclude_namespaces: NamespaceSet,
    /// If set, pods of all other namespaces are skipped.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    pub include_namespaces: Option<NamespaceSet>,
    /// Pods of namespaces whose labels match are skipped.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub exclude_namespace_selector: Option<LabelSelector>,
    /// The directory of the agent's socket and the plugin's log.
    pub cni_agent_run_dir: PathBuf,
    /// The agent's own namespace.
    pub pod_namespace: Option<String>,
    /// The name of the agent's `DaemonSet`. Its pods in `pod_namespace` start without a lookup.
    pub agent_daemonset: String,
    /// The meshes that are served: one profile or a list. `asm` and `istio` are for the same pods, and
    /// are the defaults of `selection` and `ruleset`.
    #[cfg_attr(feature = "schema", schemars(with = "OneOrSeveral"))]
    pub profile: Profiles,
    /// Which pods of Istio are redirected: `asm`, `asm-literal` or `istio`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub selection: Option<SelectionMode>,
    /// Which rules they get: `asm` (the documented dump) or `istio`.
    pub ruleset: Option<RulesetName>,
    /// What happens to the IPv6 traffic of a redirected pod for which the mesh writes no IPv6 rules.
    pub ipv6: Ipv6Mode,
    /// How the rules are programmed.
    pub backend: BackendName,
    /// Where the facts about a pod come from.
    pub pod_source: PodSourceName,
    /// The directory of pod source `file`, with `NAMESPACE_NAME.yaml`, `.yml` or `.json`.
    pub pod_dir: Option<PathBuf>,
    /// The kubeconfig of pod source `api`.
    pub kubeconfig: Option<PathBuf>,
    /// Interception settings for pods without the annotation. The key is that of the annotation, or
    /// its last part, such as `excludeOutboundPorts`.
    pub defaults: BTreeMap<String, String>,
    /// Settings of Linkerd, with the fields of the entry of Linkerd's own plugin.
    pub linkerd: Option<Box<LinkerdConf>>,
    /// Settings of Istio's ambient mode.
    pub ambient: Option<Box<AmbientConf>>,
    /// The ports of the Kubernetes API, to which pods of Linkerd's control plane connect without
    /// redirection: `port` and `targetPort` of Service `default/kubernetes`.
    pub kube_api_ports: Cow<'static, [u16]>,
    /// The DNS servers of the cluster, `clusterDNS` of the kubelet's configuration, to which pods with
    /// `dnsPolicy` `ClusterFirst` send their queries. Kuma without `redirect.dns.captureAll` captures these.
    pub cluster_dns: Vec<IpAddr>,
    /// Accept a call without `prevResult`, which another program makes without a plugin list.
    pub standalone: bool,
}

/// What the JSON of `profile` may be.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrSeveral {
    One(Profile),
    Several(Vec<Profile>),
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
            profile: Profiles::default(),
            selection: None,
            ruleset: None,
            ipv6: Ipv6Mode::default(),
            backend: BackendName::default(),
            pod_source: PodSourceName::default(),
            pod_dir: None,
            kubeconfig: None,
            defaults: BTreeMap::new(),
            linkerd: None,
            ambient: None,
            kube_api_ports: Cow::Borrowed(&[443, 6443]),
            cluster_dns: Vec::new(),
            standalone: false,
        }
    }
}

impl MeshConf {
    /// The policy that selects pods.
    pub fn policy(&self) -> Policy {
        let selection = self.selection.unwrap_or(if self.is_istio() {
            SelectionMode::Istio
        } else {
            SelectionMode::Asm
        });
        let meshes = self.profile.meshes();
        let ambient = if meshes.contains(Mesh::Ambient) {
            self.ambient().policy()
        } else {
            AmbientPolicy::none()
        };
        Policy {
            meshes,
            ambient,
            selection,
            exclude_namespaces: self.exclude_namespaces.clone(),
            include_namespaces: self.include_namespaces.clone(),
            exclude_namespace_selector: self.exclude_namespace_selector.clone(),
        }
    }

    /// The settings of ambient mode, or their defaults.
    pub fn ambient(&self) -> Cow<'_, AmbientConf> {
        let own = self.ambient.as_deref().map(Cow::Borrowed);
        own.unwrap_or_else(|| Cow::Owned(AmbientConf::default()))
    }

    /// Whether decisions need the labels or annotations of pods' namespaces.
    pub fn needs_namespaces(&self) -> bool {
        self.policy().needs_namespace_labels() || self.namespace_annotations().next().is_some()
    }

    /// The keys of the annotations of namespaces that are settings of the pods of a served mesh.
    pub fn namespace_annotations(&self) -> impl Iterator<Item = &'static str> {
        let read = |mesh| match mesh {
            Mesh::Linkerd => &Annotation::ALL[..],
            Mesh::Istio | Mesh::Kuma | Mesh::Ambient => &[],
        };
        let meshes = self.profile.meshes();
        meshes
            .iter()
            .flat_map(read)
            .map(|annotation| annotation.key())
    }

    /// Whether the pod source knows the namespaces of pods, not only pods.
    pub(crate) fn knows_namespaces(&self) -> bool {
        !matches!(
            self.pod_source,
            PodSourceName::File | PodSourceName::Runtime
        )
    }

    /// Whether a pod belongs to the agent, by the name that its `DaemonSet` gives it. Such a pod must
    /// not wait for the agent's answer.
    pub fn is_agent_pod(&self, namespace: &str, name: &str) -> bool {
        let suffix = name
            .strip_prefix(self.agent_daemonset.as_str())
            .and_then(|rest| rest.strip_prefix('-'));
        let is_suffix = |text: &str| {
            text.len() == POD_SUFFIX_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        self.pod_namespace.as_deref() == Some(namespace) && suffix.is_some_and(is_suffix)
    }

    /// The same configuration on a kernel that may lack IPv6, where nothing is to be refused and rules
    /// that refuse it cannot be applied.
    #[must_use]
    pub fn on_kernel(mut self, has_ipv6: impl FnOnce() -> bool) -> Self {
        if self.ipv6 == Ipv6Mode::Reject && !has_ipv6() {
            self.ipv6 = Ipv6Mode::AsMesh;
        }
        self
    }

    /// The dialect of the rules for Istio's sidecars.
    pub fn dialect(&self) -> Dialect {
        let ruleset = self.ruleset.unwrap_or(if self.is_istio() {
            RulesetName::Istio
        } else {
            RulesetName::Asm
        });
        match ruleset {
            RulesetName::Asm => Dialect::Asm,
            RulesetName::Istio => Dialect::Istio,
        }
    }

    /// Whether the defaults for Istio's sidecars are those of current Istio, not of ASM.
    fn is_istio(&self) -> bool {
        self.profile.contains(Profile::Istio)
    }
}
