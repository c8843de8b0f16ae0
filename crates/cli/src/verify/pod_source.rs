//! Facts about the pod: from a manifest, from the node's directory of manifests, or from its agent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_cni_plan::{MeshConf, PodSourceName};
use mesh_cni_selector::PodFacts;
use thiserror::Error;

use crate::agent::{self, AgentError};
use crate::arguments::PodName;
use crate::failure::Failure;
use crate::input;

/// The names that manifests have in a directory of them.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

const GIVE_MANIFEST: &str =
    "give the pod's manifest: kubectl get pod NAME -o yaml | mesh-cnictl verify … --manifest -";

/// Where the node's facts about pods are.
pub(super) enum PodSource {
    /// A manifest for each pod.
    Directory(PathBuf),
    /// The agent's socket.
    Socket(PathBuf),
}

/// Facts that cannot be had.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    #[error("`{}` cannot be read", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no manifest in `{}` is of {whose}", path.display())]
    None { path: PathBuf, whose: String },
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl PodSource {
    /// The one that the configuration names; the agent also where it names another that answers
    /// the plugin alone.
    pub(super) fn of(conf: &MeshConf) -> Self {
        match (conf.pod_source, &conf.pod_dir) {
            (PodSourceName::File, Some(directory)) => Self::Directory(directory.clone()),
            _ => Self::Socket(conf.cni_agent_run_dir.join("agent.sock")),
        }
    }

    /// The pod of that name.
    pub(super) fn by_name(&self, pod: &PodName) -> Result<PodFacts, Failure> {
        let PodName { namespace, name } = pod;
        match self {
            Self::Socket(socket) => {
                let path = format!("/v1/pods/{namespace}/{name}");
                agent::facts(socket, &path).map_err(|error| unknown(error.into()))
            }
            Self::Directory(directory) => {
                let stem = format!("{namespace}_{name}");
                let mut paths = EXTENSIONS
                    .iter()
                    .map(|ext| directory.join(format!("{stem}.{ext}")));
                match paths.find(|path| path.exists()) {
                    Some(path) => input::facts(&path),
                    None => Err(unknown(SourceError::None {
                        path: directory.clone(),
                        whose: format!("pod {namespace}/{name}"),
                    })),
                }
            }
        }
    }

    /// The pod of that UID.
    pub(super) fn by_uid(&self, uid: &str) -> Result<PodFacts, Failure> {
        let found = match self {
            Self::Socket(socket) => {
                agent::facts(socket, &format!("/v1/pods?uid={uid}")).map_err(SourceError::from)
            }
            Self::Directory(directory) => in_directory(directory, uid),
        };
        found.map_err(unknown)
    }
}

/// Manifests that cannot be read are of no pod that runs.
fn in_directory(directory: &Path, uid: &str) -> Result<PodFacts, SourceError> {
    let entries = fs::read_dir(directory).map_err(|source| SourceError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let mut facts = entries
        .filter_map(Result::ok)
        .filter_map(|entry| input::facts(&entry.path()).ok());
    let of_uid = |facts: &PodFacts| facts.uid.is_some() && facts.is_of(uid);
    facts.find(of_uid).ok_or_else(|| SourceError::None {
        path: directory.to_owned(),
        whose: format!("a pod with UID {uid}"),
    })
}

fn unknown(error: SourceError) -> Failure {
    Failure::environment(error)
        .about("nothing to compare with")
        .hint(GIVE_MANIFEST)
}

/// The process belongs to no pod, so nobody can be asked.
pub(super) fn nobody() -> Failure {
    Failure::environment("which pod this is cannot be told from its processes")
        .about("nothing to compare with")
        .hint(GIVE_MANIFEST)
}
