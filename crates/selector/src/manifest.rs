//! Reads pod facts from a manifest, as `kubectl get pod NAME -o yaml` prints it.

mod annotation;
mod document;
mod error;
mod node;
mod pod;
mod proxy_config;

use serde_json::Value;

pub use self::annotation::annotation_document;
use self::document::Limits;
pub use self::error::{InvalidItem, ManifestError, ManifestFormat, SyntaxReason};
use self::node::Node;
pub use self::proxy_config::proxy_variables;
use crate::facts::PodFacts;

/// The maximum length of one pod's manifest in bytes; etcd limits objects to about 1.5 MiB.
pub const MAX_MANIFEST_BYTES: usize = 2 * 1024 * 1024;

/// The maximum length of the text of several pods in bytes.
pub const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;

const ONE_POD: Limits = Limits {
    bytes: MAX_MANIFEST_BYTES,
    nodes: 100_000,
};

const SEVERAL_PODS: Limits = Limits {
    bytes: MAX_LIST_BYTES,
    nodes: 4_000_000,
};

/// The remedy for text that is not a manifest of one pod.
const HOW_TO_GET_ONE: &str = "`kubectl get pod NAME -o yaml` prints one";

/// Reads the only pod in `text`.
pub(crate) fn read(text: &str) -> Result<PodFacts, ManifestError> {
    let document = document::single(text, ONE_POD)?;
    let [pod] = <[FoundPod; 1]>::try_from(pods(&document)?)
        .map_err(|pods| ManifestError::PodCount { count: pods.len() })?;
    pod.facts
}

/// Reads the pods in `text`, at least one: those of each document, which can be a Pod or a list.
/// Other objects are left out.
pub(crate) fn read_all(text: &str) -> Result<Vec<Result<PodFacts, InvalidItem>>, ManifestError> {
    let documents = document::all(text, SEVERAL_PODS)?;
    let mut all = Vec::new();
    let mut objects = 0;
    for document in &documents {
        let pods = match pods(document) {
            Err(ManifestError::Kind { .. }) if documents.len() > 1 => Vec::new(),
            pods => pods?,
        };
        all.extend(pods.into_iter().map(|pod| {
            pod.facts.map_err(|error| InvalidItem {
                position: objects + pod.index + 1,
                name: pod.name,
                error,
            })
        }));
        let items = document["items"].as_array();
        objects += items.map_or(1, Vec::len);
    }
    if all.is_empty() {
        return Err(ManifestError::PodCount { count: 0 });
    }
    Ok(all)
}

/// Reads a decoded Pod.
pub(crate) fn object(pod: &Value) -> Result<PodFacts, ManifestError> {
    pod::facts(&Node::root(pod))
}

/// A pod in a document.
struct FoundPod {
    /// Its index among the objects of the document.
    index: usize,
    name: Option<String>,
    facts: Result<PodFacts, ManifestError>,
}

impl FoundPod {
    fn new(index: usize, pod: &Node<'_, '_>) -> Self {
        let metadata = &pod.value()["metadata"];
        let name = metadata["name"].as_str().map(|name| {
            let namespace = metadata["namespace"].as_str();
            namespace.map_or_else(
                || name.to_owned(),
                |namespace| format!("{namespace}/{name}"),
            )
        });
        Self {
            index,
            name,
            facts: pod.text("kind").and_then(|_kind| pod::facts(pod)),
        }
    }
}

/// The pod in a document, or the pods of a list.
fn pods(document: &Value) -> Result<Vec<FoundPod>, ManifestError> {
    let root = Node::root(document);
    match kind(&root)?.as_str() {
        "Pod" => Ok(vec![FoundPod::new(0, &root)]),
        "List" | "PodList" => {
            let items = root.require("items")?;
            let items = items.items()?.enumerate();
            let pods = items.filter(|(_, item)| is_pod(item.value()));
            Ok(pods
                .map(|(index, item)| FoundPod::new(index, &item))
                .collect())
        }
        other => Err(ManifestError::Kind {
            kind: other.to_owned(),
        }),
    }
}

/// Whether an item of a list is a Pod, or is to be one: the items of a `PodList` have no `kind`, and an
/// invalid one is an error, not another object.
fn is_pod(item: &Value) -> bool {
    let is = |field: &str, wanted: &str| match &item[field] {
        Value::String(text) => text == wanted,
        _ => true,
    };
    is("kind", "Pod") && is("apiVersion", "v1")
}

/// The kind, after its `apiVersion` unless that is `v1`.
fn kind(object: &Node<'_, '_>) -> Result<String, ManifestError> {
    let kind = object.require("kind")?.string()?;
    Ok(match object.text("apiVersion")? {
        None | Some("v1") => kind.to_owned(),
        Some(version) => format!("{version} {kind}"),
    })
}
