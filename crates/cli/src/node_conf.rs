//! The plugin's configuration on this node: its entry in the first list that contains one.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_cni_plan::MeshConf;
use serde_json::Value;

use crate::arguments::ConfArguments;
use crate::console::Console;
use crate::failure::Failure;
use crate::input::{conf, is_ours};

/// The files that container runtimes load.
const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// Where most runtimes look for network configurations.
pub(crate) const DIRECTORY: &str = "/etc/cni/net.d";

/// The configuration at the given path, else in the directory, else the defaults.
pub(crate) fn read(
    arguments: &ConfArguments,
    console: &mut Console<'_>,
) -> Result<MeshConf, Failure> {
    if let Some(path) = &arguments.conf {
        return conf(path, console);
    }
    of_directory(&arguments.cni_conf_dir, console)
}

/// The configuration in the directory, else the defaults.
pub(crate) fn of_directory(
    directory: &Path,
    console: &mut Console<'_>,
) -> Result<MeshConf, Failure> {
    if let Some(path) = find(directory) {
        console.note(format_args!("configuration: `{}`", path.display()));
        return conf(&path, console);
    }
    console.note(format_args!(
        "no entry of mesh-cni in `{}`: using the defaults",
        directory.display()
    ));
    Ok(MeshConf::default())
}

/// Whether a configuration in the directory has our entry.
pub(crate) fn has_entry(directory: &Path) -> bool {
    find(directory).is_some()
}

/// The first file with our entry: first the directory's files, then those of its subdirectories.
fn find(directory: &Path) -> Option<PathBuf> {
    let entries = sorted(directory);
    entries
        .iter()
        .cloned()
        .chain(entries.iter().flat_map(|entry| sorted(entry)))
        .find(|path| has_ours(path))
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn has_ours(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
        return false;
    }
    // A runtime does not load a file that it cannot parse either.
    let Ok(text) = fs::read(path) else {
        return false;
    };
    let document: Value = serde_json::from_slice(&text).unwrap_or_default();
    match document.get("plugins") {
        Some(plugins) => plugins
            .as_array()
            .is_some_and(|plugins| plugins.iter().any(is_ours)),
        None => is_ours(&document),
    }
}
