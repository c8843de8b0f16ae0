//! Facts that cannot be had, each with the way out.

use std::io;
use std::path::PathBuf;

use mesh_cni_selector::ManifestError;
use thiserror::Error;

use super::api::RequestError;
use super::kubeconfig::KubeconfigError;
use crate::http::HttpError;

/// Facts that cannot be had.
#[derive(Debug, Error)]
pub(crate) enum FactsError {
    /// The runtime's name for the pod is none that Kubernetes gives.
    #[error("CNI_ARGS: {field} = `{value}` is no name of Kubernetes")]
    PodName { field: &'static str, value: String },
    /// The facts are of another pod.
    #[error("{origin} is of pod {found}, not of {wanted}")]
    OtherPod {
        origin: String,
        found: String,
        wanted: String,
    },
    /// The facts are of an earlier pod of that name.
    #[error("{origin} is of an earlier pod of that name: its uid is {found}, not {wanted}")]
    Predecessor {
        origin: String,
        found: String,
        wanted: String,
    },

    /// Pod source `file` needs a directory.
    #[error("field `pod_dir` is missing, which pod source `file` needs")]
    NoDirectory,
    /// The directory is not there.
    #[error("field `pod_dir`: `{}` cannot be read", path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// There is no manifest of that pod.
    #[error("no manifest of pod {pod}: `{}`, with .yaml, .yml or .json, does not exist", stem.display())]
    NotYet { pod: String, stem: PathBuf },
    /// The manifest cannot be read.
    #[error("manifest `{}` cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The manifest is larger than a Kubernetes object can be.
    #[error("manifest `{}` is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    /// The manifest is no pod.
    #[error("manifest `{}`", path.display())]
    Manifest {
        path: PathBuf,
        source: ManifestError,
    },

    /// The agent does not answer.
    #[error("the agent does not answer on `{}`", socket.display())]
    AgentAway { socket: PathBuf, source: HttpError },
    /// The agent answers that it cannot say.
    #[error("the agent answers {status}: {words}")]
    AgentRefused { status: u16, words: String },
    /// The agent's answer cannot be read.
    #[error("the agent's answer cannot be read")]
    AgentAnswer(#[source] serde_json::Error),
    /// There is no such pod, says whoever was asked.
    #[error("the pod is not there: {0}")]
    NoPod(String),
    /// Another pod of that name is there, says the agent.
    #[error("the sandbox is of an earlier pod: {0}")]
    Replaced(String),
    /// The pod is there and cannot be read, says the agent.
    #[error("{0}")]
    PodUnreadable(String),

    /// Pod source `api` needs a kubeconfig.
    #[error("field `kubeconfig` is missing, which pod source `api` needs")]
    NoKubeconfig,
    /// The kubeconfig cannot be used.
    #[error("kubeconfig `{}`", path.display())]
    Kubeconfig {
        path: PathBuf,
        source: KubeconfigError,
    },
    /// The API server does not answer.
    #[error("the API server does not answer")]
    ApiAway(#[source] RequestError),
    /// The API server refuses.
    #[error("the API server answers {status}: {words}")]
    ApiRefused { status: u16, words: String },
    /// Its answer cannot be read.
    #[error("the API server's answer cannot be read")]
    ApiAnswer(#[source] serde_json::Error),
    /// The pod cannot be read.
    #[error("the pod at the API server")]
    ApiPod(#[source] ManifestError),

    /// The runtime does not hand annotations over.
    #[error(
        "runtimeConfig has no `io.kubernetes.cri.pod-annotations`, which pod source `runtime` needs"
    )]
    NoCapability,
    /// What it hands over are no annotations.
    #[error("runtimeConfig.`io.kubernetes.cri.pod-annotations` are no annotations")]
    Annotations(#[source] serde_json::Error),
    /// The injector's annotation cannot be read.
    #[error("annotation `sidecar.istio.io/status` is no status of an injector")]
    InjectionStatus(#[source] serde_json::Error),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nobody's: it passes, and the runtime tries again.
    Time,
    /// The runtime's environment.
    Environment,
    /// The configuration's, or the pod's.
    Configuration,
}

impl FactsError {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::NotYet { .. }
            | Self::Predecessor { .. }
            | Self::AgentAway { .. }
            | Self::AgentRefused { .. }
            | Self::AgentAnswer(_)
            | Self::NoPod(_)
            | Self::Replaced(_)
            | Self::ApiAway(_)
            | Self::ApiRefused { .. }
            | Self::ApiAnswer(_) => Blame::Time,
            Self::PodName { .. } => Blame::Environment,
            Self::OtherPod { .. }
            | Self::NoDirectory
            | Self::Directory { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::Manifest { .. }
            | Self::PodUnreadable(_)
            | Self::NoKubeconfig
            | Self::Kubeconfig { .. }
            | Self::ApiPod(_)
            | Self::NoCapability
            | Self::Annotations(_)
            | Self::InjectionStatus(_) => Blame::Configuration,
        }
    }

    /// Whether it is the agent that is away, so that another source may be asked.
    pub(crate) fn is_agent_away(&self) -> bool {
        matches!(
            self,
            Self::AgentAway { .. } | Self::AgentRefused { .. } | Self::AgentAnswer(_)
        )
    }

    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::PodName { .. } => "the container runtime sets K8S_POD_NAMESPACE and K8S_POD_NAME",
            Self::NoDirectory => "set `pod_dir` to a directory of manifests",
            Self::Directory { .. } => "make the directory, or set `pod_dir` to the right one",
            Self::NotYet { .. } => {
                "write the pod's manifest there (`kubectl get pod NAME -o yaml`), or exclude its \
                 namespace; the runtime tries again by itself"
            }
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Manifest { .. } => {
                "mend the manifest; `mesh-cnictl select --pod FILE` tries it"
            }
            Self::OtherPod { .. } => {
                "a manifest is called NAMESPACE_NAME.yaml after its own pod; no other source should answer \
                 so, and that it does is worth a report"
            }
            Self::Predecessor { .. } => {
                "the runtime tries again by itself; with pod source `file`, write the manifest of \
                 the new pod in its place"
            }
            Self::AgentAway { .. } | Self::AgentAnswer(_) => {
                "look after the agent of this node, a pod of the mesh-cni DaemonSet: it is \
                 starting, stopped, or has another run directory than `cni_agent_run_dir`; the \
                 runtime tries again by itself"
            }
            Self::AgentRefused { .. } => {
                "the agent's log and `mesh-cni-agent status` say more; the runtime tries again by \
                 itself"
            }
            Self::NoPod(_) | Self::Replaced(_) => {
                "the pod was deleted or replaced while its sandbox started; the kubelet knows soon"
            }
            Self::PodUnreadable(_) | Self::ApiPod(_) => "mend the field in the pod's template",
            Self::NoKubeconfig => "set `kubeconfig`, or `pod_source` to agent",
            Self::Kubeconfig { .. } => {
                "mend the kubeconfig, let the agent write one, or set `pod_source` to agent"
            }
            Self::ApiAway(_) | Self::ApiAnswer(_) => {
                "see that the node reaches the API server of the kubeconfig; the runtime tries \
                 again by itself"
            }
            Self::ApiRefused { .. } => {
                "the token of the kubeconfig may have expired (the agent renews it), or its account \
                 lacks the right to get pods; the runtime tries again by itself"
            }
            Self::NoCapability => {
                "add \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} to the entry \
                 of type mesh-cni; where the runtime does not know the capability, set \
                 `pod_source` to agent"
            }
            Self::Annotations(_) => "the runtime hands over an object of texts",
            Self::InjectionStatus(_) => {
                "let the sidecar injector write the annotation, or set `pod_source` to agent"
            }
        }
    }
}
