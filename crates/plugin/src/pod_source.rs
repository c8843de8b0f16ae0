//! Where facts about a pod come from.

mod file;

use std::io;
use std::path::PathBuf;

use mesh_cni_plan::{MeshConf, PodSourceName};
use mesh_cni_selector::{ManifestError, PodFacts};
use mesh_cni_spec::PodArgs;
use thiserror::Error;

/// Facts that cannot be had.
#[derive(Debug, Error)]
pub(crate) enum FactsError {
    /// The runtime's name for the pod is none that Kubernetes gives.
    #[error("CNI_ARGS: {field} = `{value}` is no name of Kubernetes")]
    PodName { field: &'static str, value: String },
    /// The source is not in this version.
    #[error("field `pod_source`: this version has no pod source `{0}`")]
    NoSource(PodSourceName),
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
    /// The manifest is another pod's.
    #[error("manifest `{}` is of pod {found}, not of {wanted}", path.display())]
    OtherPod {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    /// The manifest is of an earlier pod of that name.
    #[error("manifest `{}` is of an earlier pod of that name: its uid is {found}, not {wanted}", path.display())]
    Predecessor {
        path: PathBuf,
        found: String,
        wanted: String,
    },
}

impl FactsError {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::PodName { .. } => "the container runtime sets K8S_POD_NAMESPACE and K8S_POD_NAME",
            Self::NoSource(_) => {
                "set `pod_source` to file, and `pod_dir` to a directory of manifests"
            }
            Self::NoDirectory => "set `pod_dir` to a directory of manifests",
            Self::Directory { .. } => "make the directory, or set `pod_dir` to the right one",
            Self::NotYet { .. } => {
                "write the pod's manifest there (`kubectl get pod NAME -o yaml`), or exclude its \
                 namespace; the runtime tries again by itself"
            }
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Manifest { .. } => {
                "mend the manifest; `mesh-cnictl select --pod FILE` tries it"
            }
            Self::OtherPod { .. } => "a manifest is called NAMESPACE_NAME.yaml after its own pod",
            Self::Predecessor { .. } => {
                "write the manifest of the new pod in its place; the runtime tries again by itself"
            }
        }
    }
}

/// What is known about that pod.
pub(crate) fn facts(conf: &MeshConf, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    is_name("K8S_POD_NAMESPACE", &pod.namespace)?;
    is_name("K8S_POD_NAME", &pod.name)?;
    let (path, facts) = file::read(directory(conf)?, pod)?;
    if (&facts.namespace, &facts.name) != (&pod.namespace, &pod.name) {
        return Err(FactsError::OtherPod {
            path,
            found: format!("{}/{}", facts.namespace, facts.name),
            wanted: format!("{}/{}", pod.namespace, pod.name),
        });
    }
    match (&facts.uid, &pod.uid) {
        (Some(found), Some(wanted)) if found != wanted => Err(FactsError::Predecessor {
            path,
            found: found.clone(),
            wanted: wanted.clone(),
        }),
        _ => Ok(facts),
    }
}

/// Whether the source could answer now.
pub(crate) fn available(conf: &MeshConf) -> Result<(), FactsError> {
    file::available(directory(conf)?)
}

fn directory(conf: &MeshConf) -> Result<&PathBuf, FactsError> {
    match conf.pod_source {
        PodSourceName::File => conf.pod_dir.as_ref().ok_or(FactsError::NoDirectory),
        other => Err(FactsError::NoSource(other)),
    }
}

/// Names become a part of a path, so nothing but what Kubernetes allows may stand in them
/// (RFC 1123 subdomain).
fn is_name(field: &'static str, value: &str) -> Result<(), FactsError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let (first, last) = (value.bytes().next(), value.bytes().last());
    if value.len() <= 253 && value.bytes().all(allowed) && edge(first) && edge(last) {
        return Ok(());
    }
    Err(FactsError::PodName {
        field,
        value: value.to_owned(),
    })
}
