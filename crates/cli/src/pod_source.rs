//! Gets facts about a pod from the node's manifest directory or from its agent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_cni_agent_api::{ResponseError, SOCKET_FILE, path};
use mesh_cni_plan::{MeshConf, PodSourceName};
use mesh_cni_selector::{PodFacts, is_dns_subdomain};
use thiserror::Error;

use crate::agent::{self, AgentError};
use crate::arguments::PodName;
use crate::failure::Failure;
use crate::input;
use crate::nearest::nearest;

/// The extensions of manifests in the directory.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The status of the agent's answer for a pod that does not exist.
const NOT_FOUND: u16 = 404;

/// Where facts about the node's pods come from.
pub(crate) enum PodSource {
    /// A directory with a manifest for each pod.
    Directory(PathBuf),
    /// The agent's socket.
    Socket(PathBuf),
}

/// Facts that are not available.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error("cannot read `{}`", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no manifest of the pod with UID {uid} in `{}`", path.display())]
    NoUid { path: PathBuf, uid: String },
    #[error("{origin} knows no pod {pod}")]
    NoPod {
        origin: String,
        pod: PodName,
        /// Names of other pods, the nearest first.
        nearest: Vec<String>,
    },
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("{0}")]
    Manifest(String),
}

impl PodSource {
    /// The directory if the configuration names one, else the agent: the other pod sources serve
    /// the plugin only.
    pub(crate) fn of(conf: &MeshConf) -> Self {
        match (conf.pod_source, &conf.pod_dir) {
            (PodSourceName::File, Some(directory)) => Self::Directory(directory.clone()),
            _ => Self::Socket(conf.cni_agent_run_dir.join(SOCKET_FILE)),
        }
    }

    /// Whether there is one on this machine.
    pub(crate) fn exists(&self) -> bool {
        let (Self::Directory(path) | Self::Socket(path)) = self;
        path.exists()
    }

    /// The pod of that name.
    pub(crate) fn by_name(&self, pod: &PodName) -> Result<PodFacts, SourceError> {
        let PodName { namespace, name } = pod;
        match self {
            Self::Socket(socket) => match agent::facts(socket, &path::pod(namespace, name, None)) {
                Err(error) if is_not_found(&error) => {
                    Err(self.no_pod(format!("the agent at `{}`", socket.display()), pod))
                }
                result => Ok(result?),
            },
            Self::Directory(directory) => {
                let stem = format!("{namespace}_{name}");
                let mut paths = EXTENSIONS
                    .iter()
                    .map(|ext| directory.join(format!("{stem}.{ext}")));
                match paths.find(|path| path.exists()) {
                    Some(path) => {
                        input::facts(&path).map_err(|error| SourceError::Manifest(error.message()))
                    }
                    None => Err(self.no_pod(format!("`{}`", directory.display()), pod)),
                }
            }
        }
    }

    /// The pod of that UID.
    pub(crate) fn by_uid(&self, uid: &str) -> Result<PodFacts, SourceError> {
        match self {
            Self::Socket(socket) => Ok(agent::facts(socket, &path::pod_by_uid(uid))?),
            Self::Directory(directory) => in_directory(directory, uid),
        }
    }

    fn no_pod(&self, origin: String, pod: &PodName) -> SourceError {
        SourceError::NoPod {
            origin,
            nearest: nearest(&pod.to_string(), self.names()),
            pod: pod.clone(),
        }
    }

    /// `NAMESPACE/NAME` of each pod, as far as they are known.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Socket(socket) => agent::pod_names(socket),
            Self::Directory(directory) => {
                let entries = fs::read_dir(directory).into_iter().flatten().flatten();
                entries
                    .filter_map(|entry| named(&entry.path()))
                    .map(|pod| pod.to_string())
                    .collect()
            }
        }
    }
}

impl SourceError {
    /// Whether only this pod is unknown; otherwise the source does not work.
    pub(crate) fn is_about_pod(&self) -> bool {
        match self {
            Self::NoUid { .. } | Self::NoPod { .. } | Self::Manifest(_) => true,
            Self::Agent(error) => matches!(error, AgentError::Response { .. }),
            Self::Directory { .. } => false,
        }
    }

    /// The failure of a command for a pod that was named.
    pub(crate) fn failure(self) -> Failure {
        match &self {
            Self::NoPod { nearest, .. } if nearest.is_empty() => Failure::wrong(self)
                .hint("`kubectl get pods -A -o wide` shows the names of all pods and their nodes"),
            Self::NoPod { nearest, .. } => {
                let names = format!("pods with similar names: {}", nearest.join(", "));
                Failure::wrong(self).hint(names)
            }
            Self::Agent(AgentError::NoAnswer { .. }) => Failure::environment(self)
                .hint("run it on a node, or give --kubeconfig to ask the API server"),
            _ => Failure::environment(self),
        }
    }
}

/// The pod whose manifest has that name, `NAMESPACE_NAME.yaml`.
fn named(path: &Path) -> Option<PodName> {
    let extension = path.extension()?.to_str()?;
    let (namespace, name) = path.file_stem()?.to_str()?.split_once('_')?;
    let is_pod =
        EXTENSIONS.contains(&extension) && is_dns_subdomain(namespace) && is_dns_subdomain(name);
    is_pod.then(|| PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

fn is_not_found(error: &AgentError) -> bool {
    matches!(
        error,
        AgentError::Response {
            source: ResponseError::Status {
                status: NOT_FOUND,
                ..
            },
            ..
        }
    )
}

/// Skips manifests that cannot be read: they are not those of running pods.
fn in_directory(directory: &Path, uid: &str) -> Result<PodFacts, SourceError> {
    let entries = fs::read_dir(directory).map_err(|source| SourceError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    // A pod's own UID comes before that of a static pod, which a pod that is none can claim.
    let mut matching: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| input::facts(&entry.path()).ok())
        .filter(|facts| facts.uid.is_some() && facts.is_of(uid))
        .collect();
    matching.sort_by_key(|facts| facts.uid.as_deref() != Some(uid));
    let mut matching = matching.into_iter();
    match (matching.next(), matching.next()) {
        (Some(facts), None) => Ok(facts),
        (Some(facts), Some(_)) if facts.uid.as_deref() == Some(uid) => Ok(facts),
        _ => Err(SourceError::NoUid {
            path: directory.to_owned(),
            uid: uid.to_owned(),
        }),
    }
}
