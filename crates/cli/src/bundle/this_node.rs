//! What a support archive contains of one node, collected on the node: configurations without
//! secrets, the agent's metrics, and the end of the plugin's log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BundleArguments;
use super::redact;
use crate::agent;

/// The most files of a directory that are read.
const MAX_FILES: usize = 50;

/// The largest configuration, in bytes.
const MAX_CONF: u64 = 256 << 10;

/// The most of the plugin's log, in bytes.
const MAX_LOG: u64 = 256 << 10;

/// The files of a node by their paths in the archive, and what is not there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeFiles {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) missing: Vec<(String, String)>,
}

/// Collects the files of this node.
pub(crate) fn collect(arguments: &BundleArguments) -> NodeFiles {
    let mut found = NodeFiles::default();
    found.configurations(&arguments.cni_conf_dir);
    let log = arguments.run_dir.join("plugin.log");
    found.add(
        "plugin.log",
        end_of(&log).map_err(|error| error.to_string()),
    );
    let socket = arguments.run_dir.join(mesh_cni_agent_api::SOCKET_FILE);
    let metrics = agent::metrics(&socket);
    let chain = |error| error_reporter::Report::new(error).to_string();
    found.add("metrics.txt", metrics.map_err(chain));
    found
}

impl NodeFiles {
    fn add(&mut self, name: &str, text: Result<String, String>) {
        match text {
            Ok(text) => drop(self.files.insert(name.to_owned(), text)),
            Err(why) => self.missing.push((name.to_owned(), why)),
        }
    }

    fn configurations(&mut self, directory: &Path) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.add("configurations", Err(error.to_string())),
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.is_file());
        paths.sort();
        for path in paths.iter().take(MAX_FILES) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.add(&format!("configurations/{name}"), configuration(path));
        }
        if let Some(more) = paths.len().checked_sub(MAX_FILES + 1) {
            let why = format!("the directory has {} more files", more + 1);
            self.add("configurations", Err(why));
        }
    }
}

/// A network configuration without secrets. Nothing is kept of a file that is not JSON, such as a
/// kubeconfig.
fn configuration(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_CONF + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_CONF {
        return Err(format!("it has more than {MAX_CONF} bytes"));
    }
    let document: Value = serde_json::from_str(&text).map_err(|_error| "it is not JSON")?;
    Ok(format!("{:#}\n", redact::conf(&document)))
}

fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LOG)))?;
    let mut end = Vec::new();
    file.take(MAX_LOG).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}
