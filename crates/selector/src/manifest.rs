//! Reading pod facts from a manifest, as `kubectl get pod NAME -o yaml` prints it.

mod document;
mod error;
mod node;
mod pod;

use serde_json::Value;

pub use self::error::{ManifestError, ManifestFormat, SyntaxReason};
use self::node::Node;
use crate::facts::PodFacts;

/// The longest manifest that is read, in bytes: etcd holds objects of about 1.5 MiB at most.
pub const MAX_MANIFEST_BYTES: usize = 2 * 1024 * 1024;

/// What prints a manifest that can be read, for those who gave another one.
const HOW_TO_GET_ONE: &str = "`kubectl get pod NAME -o yaml` prints one";

/// The facts of the one pod in `text`.
pub(crate) fn read(text: &str) -> Result<PodFacts, ManifestError> {
    if text.len() > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge { bytes: text.len() });
    }
    let document = document::single(text)?;
    let root = Node::root(&document);
    match kind(&root)?.as_str() {
        "Pod" => pod::facts(&root),
        "List" | "PodList" => only_pod(&root),
        other => Err(ManifestError::Kind {
            kind: other.to_owned(),
        }),
    }
}

/// The facts of a Pod that is decoded already.
pub(crate) fn object(pod: &Value) -> Result<PodFacts, ManifestError> {
    pod::facts(&Node::root(pod))
}

/// The one Pod of a list; what else the list holds does not matter.
fn only_pod(list: &Node<'_, '_>) -> Result<PodFacts, ManifestError> {
    let mut count = 0;
    let mut first = None;
    list.require("items")?.for_each_item(|item| {
        // The items of a PodList carry no kind of their own.
        if item.text("kind")?.is_none() || kind(item)? == "Pod" {
            count += 1;
            first.get_or_insert_with(|| pod::facts(item));
        }
        Ok(())
    })?;
    match first {
        Some(facts) if count == 1 => facts,
        _ => Err(ManifestError::PodCount { count }),
    }
}

/// The kind, with the group of the API where it is not Kubernetes' core.
fn kind(object: &Node<'_, '_>) -> Result<String, ManifestError> {
    let kind = object.require("kind")?.string()?;
    Ok(match object.text("apiVersion")? {
        None | Some("v1") => kind.to_owned(),
        Some(version) => format!("{version} {kind}"),
    })
}
