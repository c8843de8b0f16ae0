//! What the runtime's CNI cache tells: which sandboxes were made with the plugin.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;
use serde_json::Value;

use super::{each_file, some};
use crate::{Directory, DiskError, Sandboxes};

/// Counts the sandboxes that were made with the plugin and are still there. The runtime's cache
/// keeps, for each attachment, the list that it was made with.
pub fn look_at_sandboxes(cache_dir: &Path) -> Result<Sandboxes, DiskError> {
    let mut count = 0;
    let directory = each_file(&cache_dir.join("results"), |path, _| {
        let text = some(fs::read_to_string(&path)).map_err(DiskError::io("read", &path))?;
        count += usize::from(text.is_some_and(|text| names_us(&text)));
        Ok(())
    })?;
    Ok(match directory {
        Directory::Present => Sandboxes::Counted(count),
        // A cache without results is of a runtime that has made no sandbox yet.
        Directory::Missing if cache_dir.is_dir() => Sandboxes::Counted(0),
        Directory::Missing => Sandboxes::Unknown,
    })
}

/// What cannot be read as an attachment is not one that names us.
fn names_us(attachment: &str) -> bool {
    let Ok(attachment) = serde_json::from_str::<Value>(attachment) else {
        return false;
    };
    let config = attachment.get("config").and_then(Value::as_str);
    let list = config.and_then(|config| STANDARD.decode(config).ok());
    let list = list.and_then(|list| String::from_utf8(list).ok());
    list.is_some_and(|list| ConfList::parse(&list).is_ok_and(|list| list.contains(PLUGIN_TYPE)))
}
