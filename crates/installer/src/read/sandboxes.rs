//! Counts the sandboxes that the runtime's CNI cache records as created with the plugin.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;
use serde_json::Value;

use super::{each_entry, read_text};
use crate::{DirectoryState, DiskError, Sandboxes};

/// Counts the existing sandboxes that were created with the plugin. The runtime's cache keeps the
/// list of each attachment.
pub fn read_sandboxes(cache_dir: &Path) -> Result<Sandboxes, DiskError> {
    let mut count = 0;
    let directory = each_entry(&cache_dir.join("results"), |path, _, is_directory| {
        if !is_directory && read_text(&path)?.is_some_and(|text| names_us(&text)) {
            count += 1;
        }
        Ok(())
    })?;
    Ok(match directory {
        DirectoryState::Present => Sandboxes::Counted(count),
        // The runtime has not created a sandbox yet.
        DirectoryState::Missing if cache_dir.is_dir() => Sandboxes::Counted(0),
        DirectoryState::Missing => Sandboxes::Unknown,
    })
}

/// Whether the attachment's list has our entry; `false` if it cannot be parsed.
fn names_us(attachment: &str) -> bool {
    serde_json::from_str::<Value>(attachment)
        .ok()
        .and_then(|attachment| STANDARD.decode(attachment.get("config")?.as_str()?).ok())
        .and_then(|config| ConfList::parse(str::from_utf8(&config).ok()?).ok())
        .is_some_and(|list| list.contains(PLUGIN_TYPE))
}
