//! What the demo needs from the machine, looked for before anything is made.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mesh_cni_plan::PLUGIN_TYPE;
use nix::unistd::geteuid;

use super::error::DemoError;

/// Where distributions put the reference plugins.
const PLUGIN_DIRS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// Where system programs are, which a user's PATH may lack.
const SYSTEM_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
const REFERENCE_PLUGINS: [&str; 3] = ["loopback", "bridge", "host-local"];

/// The programs.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) plugin: PathBuf,
    pub(crate) cni_dir: PathBuf,
    pub(crate) nsenter: PathBuf,
    pub(crate) iptables: PathBuf,
    /// The search path that the programs get.
    pub(crate) path: OsString,
}

impl Tools {
    /// Finds everything, or says what is missing.
    pub(crate) fn find(cni_bin_dir: Option<&Path>) -> Result<Self, DemoError> {
        if !geteuid().is_root() {
            return Err(DemoError::NotRoot);
        }
        let directories = program_dirs();
        // An empty CNI_PATH is as good as none.
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
            plugin: dir_of(PLUGIN_TYPE, &beside(&directories))?.join(PLUGIN_TYPE),
            cni_dir,
            nsenter: dir_of("nsenter", &directories)?.join("nsenter"),
            iptables: dir_of("iptables", &directories)?.join("iptables"),
            path: joined(&directories),
        })
    }
}

/// Our own plugin is built and installed beside this program.
fn beside(directories: &[PathBuf]) -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    beside
        .into_iter()
        .chain(directories.iter().cloned())
        .collect()
}

fn program_dirs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let of_path = env::split_paths(&path).filter(|each| each.is_absolute());
    let mut directories: Vec<_> = of_path.collect();
    for usual in SYSTEM_DIRS.map(PathBuf::from) {
        if !directories.contains(&usual) {
            directories.push(usual);
        }
    }
    directories
}

fn dir_of(program: &str, directories: &[PathBuf]) -> Result<PathBuf, DemoError> {
    let mut having = directories
        .iter()
        .filter(|each| is_executable(&each.join(program)));
    let found = having.next().cloned();
    found.ok_or_else(|| DemoError::Missing {
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
