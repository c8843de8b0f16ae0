//! Reads the attachments in a container runtime's CNI cache.
//!
//! libcni, which containerd and CRI-O use, keeps one file for each attachment from ADD to DEL.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use crate::DiskError;

/// The most bytes of one file that are read.
const MAX_BYTES: u64 = 1 << 20;

/// The most files that are read.
const MAX_FILES: usize = 10_000;

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

/// The fields of a file in the cache.
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
    let directory = cache_dir.join("results");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(DiskError::io("list", &directory))?,
    };
    let mut attachments: Vec<_> = entries
        .take(MAX_FILES)
        .filter_map(|entry| read(&entry.ok()?.path()))
        .collect();
    attachments.sort_by_key(|attachment| std::cmp::Reverse(attachment.written));
    Ok(attachments)
}

/// `None` for a file that was removed meanwhile, or that has another format.
fn read(path: &Path) -> Option<Attachment> {
    let file = File::open(path).ok()?;
    let written = file.metadata().ok()?.modified().ok()?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    let cached: Cached = serde_json::from_slice(&text).ok()?;
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
        written,
    })
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
