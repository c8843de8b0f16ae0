//! Gets facts about a pod from the node's manifest directory or from its agent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_cni_agent_api::{SOCKET_FILE, path};
use mesh_cni_plan::{MeshConf, PodSourceName};
use mesh_cni_selector::PodFacts;
use thiserror::Error;

use crate::agent::{self, AgentError};
use crate::arguments::PodName;
use crate::failure::Failure;
use crate::input;

/// The extensions of manifests in the directory.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

const GIVE_MANIFEST: &str =
    "pass the pod's manifest: kubectl get pod NAME -o yaml | mesh-cnictl verify … --manifest -";

/// Where facts about the node's pods come from.
pub(super) enum PodSource {
    /// A directory with a manifest for each pod.
    Directory(PathBuf),
    /// The agent's socket.
    Socket(PathBuf),
}

/// Facts that are not available.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    #[error("cannot read `{}`", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no manifest of {pod} in `{}`", path.display())]
    None { path: PathBuf, pod: String },
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl PodSource {
    /// The directory if the configuration names one, else the agent: the other pod sources serve
    /// the plugin only.
    pub(super) fn of(conf: &MeshConf) -> Self {
        match (conf.pod_source, &conf.pod_dir) {
            (PodSourceName::File, Some(directory)) => Self::Directory(directory.clone()),
            _ => Self::Socket(conf.cni_agent_run_dir.join(SOCKET_FILE)),
        }
    }

    /// The pod of that name.
    pub(super) fn by_name(&self, pod: &PodName) -> Result<PodFacts, Failure> {
        let PodName { namespace, name } = pod;
        match self {
            Self::Socket(socket) => agent::facts(socket, &path::pod(namespace, name, None))
                .map_err(|error| unknown(error.into())),
            Self::Directory(directory) => {
                let stem = format!("{namespace}_{name}");
                let mut paths = EXTENSIONS
                    .iter()
                    .map(|ext| directory.join(format!("{stem}.{ext}")));
                match paths.find(|path| path.exists()) {
                    Some(path) => input::facts(&path),
                    None => Err(unknown(SourceError::None {
                        path: directory.clone(),
                        pod: format!("pod {namespace}/{name}"),
                    })),
                }
            }
        }
    }

    /// The pod of that UID.
    pub(super) fn by_uid(&self, uid: &str) -> Result<PodFacts, Failure> {
        let found = match self {
            Self::Socket(socket) => {
                agent::facts(socket, &path::pod_by_uid(uid)).map_err(SourceError::from)
            }
            Self::Directory(directory) => in_directory(directory, uid),
        };
        found.map_err(unknown)
    }
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
        _ => Err(SourceError::None {
            path: directory.to_owned(),
            pod: format!("the pod with UID {uid}"),
        }),
    }
}

fn unknown(error: SourceError) -> Failure {
    Failure::environment(error)
        .about("nothing to compare with")
        .hint(GIVE_MANIFEST)
}

/// The namespace has no process whose control group names a pod.
pub(super) fn unknown_pod() -> Failure {
    Failure::environment("cannot determine the pod from its processes")
        .about("nothing to compare with")
        .hint(GIVE_MANIFEST)
}
