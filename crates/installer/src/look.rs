//! Reading what a node's disk holds.

mod sandboxes;

pub use sandboxes::look_at_sandboxes;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::istio::ISTIO_CNI;
use crate::settings::{DROP_IN, KUBECONFIG};
use crate::{
    Account, Binary, ConfFile, ConfName, Directory, DropIn, Found, Kubeconfig, NodePaths, Secret,
};

/// What the names of half-written files begin and end with. No runtime reads such a name.
pub(crate) const LEFTOVER: (&str, &str) = (".mesh-cni-", ".tmp");

/// What else of ours is in the run directory.
const RUN_FILES: [&str; 3] = ["agent.sock", "backends", "plugin.log"];

/// What the directory in which an agent makes its socket is called, to begin with.
const SOCKET_ROOM: &str = ".agent";

/// The disk refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A file or directory cannot be read, written, renamed or removed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file has another content than it had when it was looked at.
    #[error("`{path}` was changed by another program in between")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl DiskError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Reads what the node holds. `plugin_binary` is what the node's binary is compared with; without
/// it, the content of the node's binary is taken as right.
pub fn look(paths: &NodePaths, plugin_binary: Option<&Path>) -> Result<Found, DiskError> {
    let mut found = Found {
        binary: look_at_binary(&paths.binary(), plugin_binary)?,
        istio_binary: paths.bin_dir.join(ISTIO_CNI).is_file(),
        ..Found::default()
    };
    found.bin_dir = each_file(&paths.bin_dir, |path, name| {
        found.leftovers.extend(is_leftover(name).then_some(path));
        Ok(())
    })?;
    look_at_confs(paths, &mut found)?;
    look_at_run_dir(paths, &mut found)?;
    found.leftovers.sort();
    Ok(found)
}

/// Reads the agent's account with the API server; `None` where it is not mounted.
pub fn look_at_account(directory: &Path) -> Result<Option<Account>, DiskError> {
    let read = |name: &str| {
        let path = directory.join(name);
        some(fs::read_to_string(&path)).map_err(DiskError::io("read", &path))
    };
    let (ca, token) = (read("ca.crt")?, read("token")?.map(Secret::new));
    Ok(ca.zip(token).map(|(ca, token)| Account { ca, token }))
}

fn look_at_confs(paths: &NodePaths, found: &mut Found) -> Result<(), DiskError> {
    let directory = &paths.conf_dir;
    found.conf_dir = each_file(directory, |path, name| {
        if is_leftover(name) {
            found.leftovers.push(path);
        } else if let Some(name) = ConfName::of_saved(name) {
            found.saved.extend(read_conf(&path, name)?);
        } else if let Ok(name) = ConfName::new(name) {
            found.confs.extend(read_conf(&path, name)?);
        }
        Ok(())
    })?;
    each_directory(directory, |path, network| {
        look_at_drop_ins(&path, network, found)
    })?;
    found.confs.sort_by(|one, other| one.name.cmp(&other.name));
    found.saved.sort_by(|one, other| one.name.cmp(&other.name));
    found
        .drop_ins
        .sort_by(|one, other| one.network.cmp(&other.network));
    Ok(())
}

/// Reads our part of a directory that may be a network's. Directories of others are passed over.
fn look_at_drop_ins(path: &Path, network: &str, found: &mut Found) -> Result<(), DiskError> {
    let (mut text, mut shared) = (None, false);
    each_directory(path, |_, _| {
        shared = true;
        Ok(())
    })?;
    each_file(path, |path, name| {
        if is_leftover(name) {
            found.leftovers.push(path);
        } else if name == DROP_IN {
            text = some(fs::read_to_string(&path)).map_err(DiskError::io("read", &path))?;
        } else {
            shared = true;
        }
        Ok(())
    })?;
    if text.is_some() || !shared {
        let network = network.to_owned();
        found.drop_ins.push(DropIn {
            network,
            text,
            shared,
        });
    }
    Ok(())
}

fn look_at_run_dir(paths: &NodePaths, found: &mut Found) -> Result<(), DiskError> {
    each_file(&paths.run_dir, |path, name| {
        if is_leftover(name) {
            found.leftovers.push(path);
        } else if name == KUBECONFIG {
            found.kubeconfig = read_kubeconfig(&path)?;
        } else if RUN_FILES.contains(&name) {
            found.run_files.push(path);
        }
        Ok(())
    })?;
    each_directory(&paths.run_dir, |path, name| {
        // An agent that was killed while it made its socket leaves it in a directory of its own.
        let socket = path.join(RUN_FILES[0]);
        let left = name.starts_with(SOCKET_ROOM) && fs::symlink_metadata(&socket).is_ok();
        found.run_files.extend(left.then_some(socket));
        Ok(())
    })?;
    found.run_files.sort();
    Ok(())
}

fn read_kubeconfig(path: &Path) -> Result<Option<Kubeconfig>, DiskError> {
    let text = some(fs::read_to_string(path)).map_err(DiskError::io("read", path))?;
    let metadata = some(fs::metadata(path)).map_err(DiskError::io("read", path))?;
    Ok(text.zip(metadata).map(|(text, metadata)| Kubeconfig {
        mode: metadata.permissions().mode() & 0o7777,
        text: Secret::new(text),
    }))
}

fn is_leftover(name: &str) -> bool {
    name.starts_with(LEFTOVER.0) && name.ends_with(LEFTOVER.1)
}

fn look_at_binary(path: &Path, wanted: Option<&Path>) -> Result<Binary, DiskError> {
    let Some(metadata) = some(fs::metadata(path)).map_err(DiskError::io("read", path))? else {
        return Ok(Binary::Missing);
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode != 0o755 {
        return Ok(Binary::Mode(mode));
    }
    let Some(wanted) = wanted else {
        return Ok(Binary::Ready);
    };
    let read = |path: &Path| fs::read(path).map_err(DiskError::io("read", path));
    Ok(if read(path)? == read(wanted)? {
        Binary::Ready
    } else {
        Binary::Differs
    })
}

fn each_file(
    directory: &Path,
    mut visit: impl FnMut(PathBuf, &str) -> Result<(), DiskError>,
) -> Result<Directory, DiskError> {
    each_entry(directory, |path, name, is_directory| {
        if is_directory {
            Ok(())
        } else {
            visit(path, name)
        }
    })
}

fn each_directory(
    directory: &Path,
    mut visit: impl FnMut(PathBuf, &str) -> Result<(), DiskError>,
) -> Result<Directory, DiskError> {
    each_entry(directory, |path, name, is_directory| {
        if is_directory {
            visit(path, name)
        } else {
            Ok(())
        }
    })
}

fn each_entry(
    directory: &Path,
    mut visit: impl FnMut(PathBuf, &str, bool) -> Result<(), DiskError>,
) -> Result<Directory, DiskError> {
    let failed = || DiskError::io("list", directory);
    let Some(entries) = some(fs::read_dir(directory)).map_err(failed())? else {
        return Ok(Directory::Missing);
    };
    for entry in entries {
        let entry = entry.map_err(failed())?;
        let is_directory = entry.file_type().map_err(failed())?.is_dir();
        // Endings are ASCII, so what stands for other bytes hides none.
        let name = entry.file_name().to_string_lossy().into_owned();
        visit(entry.path(), &name, is_directory)?;
    }
    Ok(Directory::Present)
}

/// `None` where the file has gone since its directory was listed.
fn read_conf(path: &Path, name: ConfName) -> Result<Option<ConfFile>, DiskError> {
    let gone = || fs::symlink_metadata(path).is_err();
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && gone() => Ok(None),
        text => {
            let text = text.map_err(DiskError::io("read", path))?;
            Ok(Some(ConfFile { name, text }))
        }
    }
}

fn some<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
