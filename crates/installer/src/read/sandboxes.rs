//! Counts the sandboxes that CNI caches record as created with the plugin.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_plan::PLUGIN_TYPE;
use serde_json::Value;

use super::{each_entry, read_bytes};
use crate::nested::names;
use crate::{DirectoryState, DiskError, Sandboxes};

/// Counts the existing sandboxes that were created with the plugin.
///
/// The runtime's cache keeps the list of each attachment in `results`. Multus keeps those of its networks
/// in `multus/results`, and the networks of each sandbox in `multus`.
pub fn read_sandboxes(cache_dir: &Path) -> Result<Sandboxes, DiskError> {
    let mut sandboxes = BTreeSet::new();
    let results = read_attachments(&cache_dir.join("results"), &mut sandboxes)?;
    let mut caches = Vec::new();
    let cache = each_entry(cache_dir, |path, name, is_directory| {
        if is_directory && name != "results" {
            caches.push(path);
        }
        Ok(())
    })?;
    for cache in caches {
        read_attachments(&cache, &mut sandboxes)?;
        read_attachments(&cache.join("results"), &mut sandboxes)?;
    }
    Ok(match (results, cache) {
        // Without results, the runtime has not created a sandbox yet.
        (DirectoryState::Present, _) | (_, DirectoryState::Present) => {
            Sandboxes::Counted(sandboxes.len())
        }
        _ => Sandboxes::Unknown,
    })
}

/// Collects the sandboxes of attachments that name the plugin. Files that are not JSON, such as those of
/// IPAM plugins, are ignored. A file that cannot be read counts: its sandbox may need the plugin for DEL.
fn read_attachments(
    directory: &Path,
    sandboxes: &mut BTreeSet<String>,
) -> Result<DirectoryState, DiskError> {
    each_entry(directory, |path, name, is_directory| {
        if is_directory {
            return Ok(());
        }
        let Ok(content) = read_bytes(&path) else {
            sandboxes.insert(name.to_owned());
            return Ok(());
        };
        let content = content.unwrap_or_default();
        let attachment = serde_json::from_slice::<Value>(&content).unwrap_or_default();
        if names_us(&attachment) {
            // The file's own name is the sandbox's in Multus's directory.
            let id = attachment.get("containerId").and_then(Value::as_str);
            sandboxes.insert(id.unwrap_or(name).to_owned());
        }
        Ok(())
    })
}

/// Whether a configuration in the attachment, which is encoded in Base64, has our entry at any depth.
fn names_us(attachment: &Value) -> bool {
    match attachment {
        Value::Array(networks) => networks.iter().any(names_us),
        Value::Object(fields) => ["config", "Bytes"].into_iter().any(|field| {
            fields
                .get(field)
                .and_then(Value::as_str)
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .and_then(|conf| serde_json::from_slice::<Value>(&conf).ok())
                .is_some_and(|conf| names(&conf, PLUGIN_TYPE))
        }),
        _ => false,
    }
}
