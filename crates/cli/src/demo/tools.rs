//! Finds the programs that the demo needs, before it creates anything.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mesh_cni_plan::PLUGIN_TYPE;
use nix::unistd::geteuid;

use super::error::DemoError;

/// Directories in which distributions install the reference plugins.
const PLUGIN_DIRS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// Directories of system programs, which a user's PATH may lack.
const SYSTEM_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
const REFERENCE_PLUGINS: [&str; 3] = ["loopback", "bridge", "host-local"];

/// The programs.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) plugin: PathBuf,
    pub(crate) cni_dir: PathBuf,
    pub(crate) nsenter: PathBuf,
    pub(crate) iptables: PathBuf,
    /// `PATH` for the programs.
    pub(crate) path: OsString,
}

impl Tools {
    /// Finds all programs, or returns the first that is missing.
    pub(crate) fn find(cni_bin_dir: Option<&Path>) -> Result<Self, DemoError> {
        if !geteuid().is_root() {
            return Err(DemoError::NotRoot);
        }
        let directories = program_dirs();
        // An empty CNI_PATH counts as unset.
        let plugin_dirs: Vec<_> = match cni_bin_dir.filter(|given| !given.as_os_str().is_empty()) {
            Some(given) => env::split_paths(given).collect(),
            None => PLUGIN_DIRS.map(PathBuf::from).into(),
        };
        let [first, ..] = REFERENCE_PLUGINS;
        let cni_dir = dir_of(first, &plugin_dirs)?;
        for plugin in REFERENCE_PLUGINS {
            dir_of(plugin, std::slice::from_ref(&cni_dir))?;
        }
        Ok(Self {
            plugin: dir_of(PLUGIN_TYPE, &with_own_dir(&directories))?.join(PLUGIN_TYPE),
            cni_dir,
            nsenter: dir_of("nsenter", &directories)?.join("nsenter"),
            iptables: dir_of("iptables", &directories)?.join("iptables"),
            path: joined(&directories),
        })
    }
}

/// The directory of this program, which usually contains our plugin, then the others.
fn with_own_dir(directories: &[PathBuf]) -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    own.into_iter().chain(directories.iter().cloned()).collect()
}

fn program_dirs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = env::split_paths(&path)
        .filter(|each| each.is_absolute())
        .collect();
    for directory in SYSTEM_DIRS.map(PathBuf::from) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

fn dir_of(program: &str, directories: &[PathBuf]) -> Result<PathBuf, DemoError> {
    directories
        .iter()
        .find(|each| is_executable(&each.join(program)))
        .cloned()
        .ok_or_else(|| DemoError::Missing {
            program: program.to_owned(),
            searched: joined(directories).to_string_lossy().into_owned(),
        })
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn joined(directories: &[PathBuf]) -> OsString {
    let parts = directories
        .iter()
        .filter(|each| !each.as_os_str().as_encoded_bytes().contains(&b':'));
    env::join_paths(parts).expect("no part has a colon")
}
