//! Reads a container runtime's CNI cache: the attachments of sandboxes, from ADD to DEL.
//!
//! libcni, which containerd and CRI-O use, keeps one file for each attachment in `results`. Multus keeps
//! those of its networks in `multus/results`, and the networks of each sandbox in `multus`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::parse_json;
use serde::Deserialize;
use serde_json::Value;

use crate::nested::{mentions_us, names};
use crate::read::{each_entry, read_regular};
use crate::{DirectoryState, DiskError, Sandboxes};

/// The most files of a directory that are read.
const MAX_FILES: usize = 10_000;

/// The directory of libcni's files.
const RESULTS: &str = "results";

/// An interface of a sandbox that a runtime attached to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// The ID of the sandbox.
    pub sandbox: String,
    /// The interface, such as `eth0`.
    pub interface: String,
    /// The name of the network.
    pub network: String,
    /// The UID of the pod.
    pub pod_uid: Option<String>,
    /// The path of the network namespace.
    pub netns: Option<PathBuf>,
    /// When the file was written.
    pub written: SystemTime,
}

/// A file of a cache.
struct CacheFile {
    name: String,
    content: io::Result<Vec<u8>>,
    written: Option<SystemTime>,
}

/// The fields of libcni's file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    container_id: String,
    if_name: String,
    network_name: String,
    #[serde(default)]
    cni_args: Option<Vec<(String, String)>>,
    #[serde(default)]
    netns: Option<PathBuf>,
    #[serde(default)]
    result: Value,
}

/// Reads the attachments below `cache_dir` (usually `/var/lib/cni`), the newest first. Files of another
/// format are left out.
pub fn read_attachments(cache_dir: &Path) -> Result<Vec<Attachment>, DiskError> {
    let mut attachments = Vec::new();
    each_file(&cache_dir.join(RESULTS), |file| {
        attachments.extend(file.attachment());
    })?;
    attachments.sort_by_key(|attachment| std::cmp::Reverse(attachment.written));
    Ok(attachments)
}

/// Counts the existing sandboxes that were created with the plugin.
///
/// A file that cannot be read counts: its sandbox may need the plugin for DEL.
pub fn read_sandboxes(cache_dir: &Path) -> Result<Sandboxes, DiskError> {
    let mut sandboxes = BTreeSet::new();
    let mut count = |file: CacheFile| sandboxes.extend(file.sandbox_of_ours());
    let results = each_file(&cache_dir.join(RESULTS), &mut count)?;
    let mut caches = Vec::new();
    let cache = each_entry(cache_dir, |path, name, is_directory| {
        if is_directory && name != RESULTS {
            caches.push(path);
        }
        Ok(())
    })?;
    for cache in caches {
        each_file(&cache, &mut count)?;
        each_file(&cache.join(RESULTS), &mut count)?;
    }
    Ok(match (results, cache) {
        // Without results, the runtime has not created a sandbox yet.
        (DirectoryState::Present, _) | (_, DirectoryState::Present) => {
            Sandboxes::Counted(sandboxes.len())
        }
        _ => Sandboxes::Unknown,
    })
}

/// Reads the files of a directory, up to a limit; more are given without content.
fn each_file(
    directory: &Path,
    mut visit: impl FnMut(CacheFile),
) -> Result<DirectoryState, DiskError> {
    let mut files = 0;
    each_entry(directory, |path, name, is_directory| {
        if is_directory {
            return Ok(());
        }
        files += 1;
        let content = if files <= MAX_FILES {
            read_regular(&path)
        } else {
            Err(ErrorKind::QuotaExceeded.into())
        };
        // Otherwise it was removed since the directory was listed.
        if !matches!(&content, Err(error) if error.kind() == ErrorKind::NotFound) {
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
            visit(CacheFile {
                name: name.to_owned(),
                content,
                written: modified.ok(),
            });
        }
        Ok(())
    })
}

impl CacheFile {
    fn attachment(&self) -> Option<Attachment> {
        let cached: Cached = serde_json::from_slice(self.content.as_ref().ok()?).ok()?;
        let mut arguments = cached.cni_args.into_iter().flatten();
        let uid = arguments.find_map(|(name, value)| (name == "K8S_POD_UID").then_some(value));
        Some(Attachment {
            netns: cached
                .netns
                .or_else(|| netns(&cached.result, &cached.if_name)),
            sandbox: cached.container_id,
            interface: cached.if_name,
            network: cached.network_name,
            pod_uid: uid.filter(|uid| !uid.is_empty()),
            written: self.written?,
        })
    }

    /// The sandbox, if its attachment names the plugin or cannot be read. Files that are not JSON, such as
    /// those of IPAM plugins, name nothing.
    fn sandbox_of_ours(self) -> Option<String> {
        let Ok(content) = self.content else {
            return Some(self.name);
        };
        let attachment: Value = serde_json::from_slice(&content).ok()?;
        // The file's own name is the sandbox's in Multus's directory.
        let id = attachment.get("containerId").and_then(Value::as_str);
        names_us(&attachment).then(|| id.map_or(self.name, str::to_owned))
    }
}

/// Whether a configuration in the attachment, which is encoded in Base64, has our entry at any depth.
fn names_us(attachment: &Value) -> bool {
    match attachment {
        Value::Array(networks) => networks.iter().any(names_us),
        Value::Object(fields) => ["config", "Bytes"]
            .into_iter()
            .filter_map(|field| STANDARD.decode(fields.get(field)?.as_str()?).ok())
            .any(|conf| match parse_json(&conf) {
                Ok(conf) => names(&conf, PLUGIN_TYPE),
                Err(_) => mentions_us(&conf),
            }),
        _ => false,
    }
}

/// The namespace of an interface in the result.
fn netns(result: &Value, interface: &str) -> Option<PathBuf> {
    let mut interfaces = result.get("interfaces")?.as_array()?.iter();
    let sandbox = interfaces.find_map(|it| {
        let sandbox = it.get("sandbox")?.as_str()?;
        (it.get("name")? == interface && !sandbox.is_empty()).then_some(sandbox)
    });
    sandbox.map(PathBuf::from)
}
