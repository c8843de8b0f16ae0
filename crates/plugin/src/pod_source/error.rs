//! Why there are no facts about a pod, and what to do.

use std::io;
use std::path::PathBuf;

use mesh_cni_agent_api::{HttpError, PodAnswerError};
use mesh_cni_selector::ManifestError;
use thiserror::Error;

use super::api::RequestError;
use super::kubeconfig::KubeconfigError;

/// Why there are no facts about a pod.
#[derive(Debug, Error)]
pub(crate) enum FactsError {
    #[error("CNI_ARGS: {field} = `{value}` is not a valid Kubernetes name")]
    PodName { field: &'static str, value: String },
    #[error("{origin} is for pod {found}, not for {wanted}")]
    OtherPod {
        origin: String,
        found: String,
        wanted: String,
    },
    #[error("{origin} is for an earlier pod with the same name: its UID is {found}, not {wanted}")]
    EarlierPod {
        origin: String,
        found: String,
        wanted: String,
    },

    #[error("field `pod_dir` is missing: pod source `file` requires it")]
    NoDirectory,
    #[error("field `pod_dir`: cannot read `{}`", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("pod {pod} has no manifest: `{}`, with .yaml, .yml or .json, does not exist", stem.display())]
    NoManifest { pod: String, stem: PathBuf },
    #[error("cannot read manifest `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("manifest `{}` is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("manifest `{}`", path.display())]
    Manifest {
        path: PathBuf,
        source: ManifestError,
    },

    #[error("the agent does not answer on `{}`", socket.display())]
    AgentUnreachable { socket: PathBuf, source: HttpError },
    #[error("the agent answered with status {status}: {message}")]
    AgentStatus { status: u16, message: String },
    #[error("cannot parse the agent's answer")]
    AgentAnswer(#[source] serde_json::Error),
    #[error("the agent is newer than this plugin")]
    NewerAgent(#[source] PodAnswerError),
    /// The agent or the API server answered with status 404.
    #[error("the pod does not exist: {0}")]
    NoPod(String),
    #[error("the sandbox belongs to an earlier pod: {0}")]
    Replaced(String),
    /// The agent cannot use the pod's manifest; its message names the pod.
    #[error("{0}")]
    InvalidPod(String),

    #[error("field `kubeconfig` is missing: pod source `api` requires it")]
    NoKubeconfig,
    #[error("kubeconfig `{}`", path.display())]
    Kubeconfig {
        path: PathBuf,
        source: KubeconfigError,
    },
    #[error("the API server does not answer")]
    ApiUnreachable(#[source] RequestError),
    #[error("the API server answered with status {status}: {message}")]
    ApiStatus { status: u16, message: String },
    #[error("cannot parse the API server's answer")]
    ApiAnswer(#[source] serde_json::Error),
    #[error("invalid pod from the API server")]
    ApiPod(#[source] ManifestError),

    #[error(
        "runtimeConfig has no `io.kubernetes.cri.pod-annotations`: pod source `runtime` requires it"
    )]
    NoCapability,
    #[error("runtimeConfig.`io.kubernetes.cri.pod-annotations` is not an object of strings")]
    Annotations(#[source] serde_json::Error),
    #[error("cannot parse annotation `sidecar.istio.io/status`")]
    InjectionStatus(#[source] serde_json::Error),
    #[error("cannot parse annotation `proxy.istio.io/config`")]
    ProxyConfig(#[source] ManifestError),
}

/// What must change before the call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// Nothing that the user sets: the runtime tries again.
    Temporary,
    /// The runtime's environment variables.
    Environment,
    /// The configuration or the pod.
    Configuration,
}

impl FactsError {
    pub(crate) fn category(&self) -> Category {
        match self {
            Self::NoManifest { .. }
            | Self::EarlierPod { .. }
            | Self::AgentUnreachable { .. }
            | Self::AgentStatus { .. }
            | Self::AgentAnswer(_)
            | Self::NewerAgent(_)
            | Self::NoPod(_)
            | Self::Replaced(_)
            | Self::ApiUnreachable(_)
            | Self::ApiStatus { .. }
            | Self::ApiAnswer(_) => Category::Temporary,
            Self::PodName { .. } => Category::Environment,
            Self::OtherPod { .. }
            | Self::NoDirectory
            | Self::Directory { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::Manifest { .. }
            | Self::InvalidPod(_)
            | Self::NoKubeconfig
            | Self::Kubeconfig { .. }
            | Self::ApiPod(_)
            | Self::NoCapability
            | Self::Annotations(_)
            | Self::InjectionStatus(_)
            | Self::ProxyConfig(_) => Category::Configuration,
        }
    }

    /// Whether the agent is unavailable, so that another source may be used. An agent that is newer
    /// than this plugin is not: another source may lack the facts that it requires.
    pub(crate) fn is_agent_unavailable(&self) -> bool {
        matches!(
            self,
            Self::AgentUnreachable { .. } | Self::AgentStatus { .. } | Self::AgentAnswer(_)
        )
    }

    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::PodName { .. } => "the container runtime sets K8S_POD_NAMESPACE and K8S_POD_NAME",
            Self::NoDirectory => "set `pod_dir` to a directory of manifests",
            Self::Directory { .. } => "create the directory, or correct `pod_dir`",
            Self::NoManifest { .. } => {
                "write the pod's manifest (`kubectl get pod NAME -o yaml`), or exclude its \
                 namespace; the runtime tries again"
            }
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Manifest { .. } => {
                "fix the manifest; `mesh-cnictl select --pod FILE` checks it"
            }
            Self::OtherPod { .. } => {
                "with pod source `file`, name each manifest NAMESPACE_NAME.yaml after its own pod; \
                 with another source this is a bug, please report it"
            }
            Self::EarlierPod { .. } => {
                "the runtime tries again; with pod source `file`, replace the manifest with that \
                 of the new pod"
            }
            Self::AgentUnreachable {
                source: HttpError::Timeout,
                ..
            } => {
                "the agent on this node is stuck or overloaded: see the log and the limits of its \
                 pod, and delete the pod if it stays so; the runtime tries again"
            }
            Self::AgentUnreachable { .. } | Self::AgentAnswer(_) => {
                "check the agent on this node, a pod of the mesh-cni DaemonSet: it is starting or \
                 stopped, or its run directory is not `cni_agent_run_dir`; the runtime tries again"
            }
            Self::AgentStatus { .. } => {
                "see the agent's log and `mesh-cni-agent status`; the runtime tries again"
            }
            Self::NewerAgent(_) => {
                "install the plugin of the agent's version on this node, which the agent does when \
                 it starts; the runtime tries again"
            }
            Self::NoPod(_) | Self::Replaced(_) => {
                "the pod was deleted or replaced while its sandbox started; the kubelet removes \
                 the sandbox"
            }
            Self::InvalidPod(_) | Self::ApiPod(_) => "fix the field in the pod's template",
            Self::NoKubeconfig => "set `kubeconfig`, or set `pod_source` to agent",
            Self::Kubeconfig { .. } => {
                "fix the kubeconfig, let the agent write one, or set `pod_source` to agent"
            }
            Self::ApiUnreachable(_) | Self::ApiAnswer(_) => {
                "check that the node reaches the API server of the kubeconfig; the runtime tries \
                 again"
            }
            Self::ApiStatus { .. } => {
                "check that the kubeconfig's token has not expired (the agent renews it) and that \
                 its account may get pods; the runtime tries again"
            }
            Self::NoCapability => {
                "add \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} to the entry \
                 of type mesh-cni; if the runtime does not know the capability, set `pod_source` \
                 to agent"
            }
            Self::Annotations(_) => {
                "the container runtime must pass an object of strings; set `pod_source` to agent \
                 if it does not"
            }
            Self::InjectionStatus(_) => {
                "let the sidecar injector write the annotation, or set `pod_source` to agent"
            }
            Self::ProxyConfig(_) => "fix the annotation in the pod's template",
        }
    }
}
