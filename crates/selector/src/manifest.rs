//! Reads pod facts from a manifest, as `kubectl get pod NAME -o yaml` prints it.

mod document;
mod error;
mod node;
mod pod;
mod proxy_config;

use serde_json::Value;

pub use self::error::{ManifestError, ManifestFormat, SyntaxReason};
use self::node::Node;
pub use self::proxy_config::proxy_variables;
use crate::facts::PodFacts;

/// The maximum length of a manifest in bytes; etcd limits objects to about 1.5 MiB.
pub const MAX_MANIFEST_BYTES: usize = 2 * 1024 * 1024;

/// The remedy for text that is not a manifest of one pod.
const HOW_TO_GET_ONE: &str = "`kubectl get pod NAME -o yaml` prints one";

/// Reads the only pod in `text`.
pub(crate) fn read(text: &str) -> Result<PodFacts, ManifestError> {
    let mut pods = read_all(text)?;
    match pods.pop() {
        Some(facts) if pods.is_empty() => facts,
        _ => Err(ManifestError::PodCount {
            count: pods.len() + 1,
        }),
    }
}

/// Reads the pod in `text`, or the pods of a list, which may contain other objects too.
pub(crate) fn read_all(text: &str) -> Result<Vec<Result<PodFacts, ManifestError>>, ManifestError> {
    if text.len() > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge { bytes: text.len() });
    }
    let document = document::single(text)?;
    let root = Node::root(&document);
    match kind(&root)?.as_str() {
        "Pod" => Ok(vec![pod::facts(&root)]),
        "List" | "PodList" => list(&root),
        other => Err(ManifestError::Kind {
            kind: other.to_owned(),
        }),
    }
}

/// Reads a decoded Pod.
pub(crate) fn object(pod: &Value) -> Result<PodFacts, ManifestError> {
    pod::facts(&Node::root(pod))
}

/// Reads the Pods of a list, at least one.
fn list(list: &Node<'_, '_>) -> Result<Vec<Result<PodFacts, ManifestError>>, ManifestError> {
    let items = list.require("items")?;
    let mut pods = Vec::new();
    for item in items.items()? {
        // The items of a PodList have no `kind`.
        if item.text("kind")?.is_none() || kind(&item)? == "Pod" {
            pods.push(pod::facts(&item));
        }
    }
    if pods.is_empty() {
        return Err(ManifestError::PodCount { count: 0 });
    }
    Ok(pods)
}

/// The kind, after its `apiVersion` unless that is `v1`.
fn kind(object: &Node<'_, '_>) -> Result<String, ManifestError> {
    let kind = object.require("kind")?.string()?;
    Ok(match object.text("apiVersion")? {
        None | Some("v1") => kind.to_owned(),
        Some(version) => format!("{version} {kind}"),
    })
}
