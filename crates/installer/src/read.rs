//! Reads the files of a node.

mod broken_drop_ins;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cache::read_attachments;
use crate::settings::{DROP_IN, KUBECONFIG};
use crate::{
    Account, Binary, ConfFile, ConfName, DirectoryState, DropIn, Kubeconfig, NodePaths, NodeState,
    Peer, Secret, UnreadableConf,
};

/// Prefix and suffix of temporary file names. No runtime loads such a file.
pub(crate) const TEMPORARY: (&str, &str) = (".mesh-cni-", ".tmp");

/// The longest file that is read. It is containerd's limit for a network configuration.
const LONGEST: u64 = 2 << 20;

/// Our files in the run directory, besides the kubeconfig.
const RUN_FILES: [&str; 4] = ["agent.sock", "agent.lock", "backends", "plugin.log"];

/// Prefix of the temporary directory in which an agent creates its socket.
const SOCKET_DIR: &str = ".agent";

/// A file operation on the node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A file or directory cannot be read, written, renamed or removed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// The operation, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file was changed after it was read.
    #[error("another program changed `{path}` at the same time")]
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

/// Reads the node's files.
///
/// The node's binary is compared with `plugin_binary`; without it, any content is correct.
pub fn read_node(paths: &NodePaths, plugin_binary: Option<&Path>) -> Result<NodeState, DiskError> {
    let mut state = NodeState {
        binary: read_binary(&paths.binary(), plugin_binary)?,
        uninstalled: paths.uninstalled_mark().exists(),
        peer_binaries: peers_with(&paths.bin_dir, |peer| Some(peer.plugin_type())),
        peer_kubeconfigs: peers_with(&paths.conf_dir, Peer::kubeconfig),
        ..NodeState::default()
    };
    let mut binaries = BTreeSet::new();
    state.bin_dir = each_entry(&paths.bin_dir, |path, name, is_directory| {
        if !is_directory && is_temporary(name) {
            state.leftovers.push(path);
        }
        binaries.insert(name.to_owned());
        Ok(())
    })?;
    state.binaries = Some(binaries);
    read_confs(paths, &mut state)?;
    read_run_dir(paths, &mut state)?;
    state.broken_drop_ins = broken_drop_ins::read(paths, &state.confs);
    state.used_network = read_used_network(paths)?;
    state.leftovers.sort();
    Ok(state)
}

/// The peers of which this file exists in the directory.
fn peers_with(directory: &Path, file: impl Fn(Peer) -> Option<&'static str>) -> BTreeSet<Peer> {
    let exists = |peer: &Peer| file(*peer).is_some_and(|file| directory.join(file).is_file());
    Peer::ALL.into_iter().filter(exists).collect()
}

/// The network of the newest pod, unless the runtime may use another one since then.
fn read_used_network(paths: &NodePaths) -> Result<Option<String>, DiskError> {
    let mut attachments = read_attachments(&paths.cache_dir)?.into_iter();
    let newest = attachments.find(|attachment| attachment.pod_uid.is_some());
    let Some(newest) = newest.filter(|newest| newest.interface != "lo") else {
        return Ok(None);
    };
    let mut changed = Vec::from([paths.conf_dir.clone()]);
    each_entry(&paths.conf_dir, |path, _, _| {
        changed.push(path);
        Ok(())
    })?;
    let is_older = |path: &PathBuf| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| modified < newest.written)
    };
    Ok(changed.iter().all(is_older).then_some(newest.network))
}

/// Reads the agent's service account; `None` if none is mounted.
pub fn read_account(directory: &Path) -> Result<Option<Account>, DiskError> {
    let ca = read_text(&directory.join("ca.crt"))?;
    let token = read_text(&directory.join("token"))?.map(Secret::new);
    Ok(ca.zip(token).map(|(ca, token)| Account { ca, token }))
}

fn read_confs(paths: &NodePaths, state: &mut NodeState) -> Result<(), DiskError> {
    state.conf_dir = each_entry(&paths.conf_dir, |path, name, is_directory| {
        // Like libcni, this follows a link to a directory.
        if path.is_dir() {
            read_drop_in(&path, name, is_directory, state);
        }
        if is_directory {
            return Ok(());
        }
        if is_temporary(name) {
            state.leftovers.push(path);
        } else if let Some(name) = ConfName::of_saved(name) {
            let text = read_bytes(&path)?;
            state.saved.extend(text.map(|text| ConfFile { name, text }));
        } else if let Ok(name) = ConfName::new(name) {
            read_conf(&path, name, state);
        }
        Ok(())
    })?;
    state.confs.sort_by_key(|conf| conf.name.clone());
    state.unreadable.sort_by_key(|conf| conf.name.clone());
    state.saved.sort_by_key(|conf| conf.name.clone());
    state
        .drop_ins
        .sort_by_key(|drop_in| drop_in.network.clone());
    Ok(())
}

/// Reads our file in a directory that may belong to a network. Ignores other directories, and those that
/// cannot be read.
fn read_drop_in(path: &Path, network: &str, is_own: bool, state: &mut NodeState) {
    let (mut text, mut shared) = (None, !is_own);
    let listed = each_entry(path, |path, name, is_directory| {
        if !is_directory && is_temporary(name) {
            state.leftovers.push(path);
        } else if !is_directory && name == DROP_IN {
            text = read_bytes(&path)?;
        } else {
            shared = true;
        }
        Ok(())
    });
    if listed.is_ok() && (text.is_some() || !shared) {
        let network = network.to_owned();
        state.drop_ins.push(DropIn {
            network,
            text,
            shared,
        });
    }
}

fn read_run_dir(paths: &NodePaths, state: &mut NodeState) -> Result<(), DiskError> {
    each_entry(&paths.run_dir, |path, name, is_directory| {
        if is_directory {
            // An agent that was killed while creating its socket leaves it in a temporary directory.
            let socket = path.join(RUN_FILES[0]);
            let left = name.starts_with(SOCKET_DIR) && fs::symlink_metadata(&socket).is_ok();
            state.run_files.extend(left.then_some(socket));
        } else if is_temporary(name) {
            state.leftovers.push(path);
        } else if name == KUBECONFIG {
            state.kubeconfig = read_kubeconfig(&path)?;
        } else if RUN_FILES.contains(&name) {
            state.run_files.push(path);
        }
        Ok(())
    })?;
    state.run_files.sort();
    Ok(())
}

fn read_kubeconfig(path: &Path) -> Result<Option<Kubeconfig>, DiskError> {
    let text = read_text(path)?;
    let metadata = if_exists("read", path, fs::metadata(path))?;
    Ok(text.zip(metadata).map(|(text, metadata)| Kubeconfig {
        mode: metadata.permissions().mode() & 0o7777,
        text: Secret::new(text),
    }))
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

fn read_binary(path: &Path, wanted: Option<&Path>) -> Result<Binary, DiskError> {
    let Some(metadata) = if_exists("read", path, fs::metadata(path))? else {
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

/// Visits the entries of a directory with path, name and whether they are directories.
pub(crate) fn each_entry(
    directory: &Path,
    mut visit: impl FnMut(PathBuf, &str, bool) -> Result<(), DiskError>,
) -> Result<DirectoryState, DiskError> {
    let failed = || DiskError::io("list", directory);
    let Some(entries) = if_exists("list", directory, fs::read_dir(directory))? else {
        return Ok(DirectoryState::Missing);
    };
    for entry in entries {
        let entry = entry.map_err(failed())?;
        let is_directory = entry.file_type().map_err(failed())?.is_dir();
        // A replacement character cannot hide a suffix, because suffixes are ASCII.
        let name = entry.file_name().to_string_lossy().into_owned();
        visit(entry.path(), &name, is_directory)?;
    }
    Ok(DirectoryState::Present)
}

/// Reads a network configuration, unless it was removed since the directory was listed.
fn read_conf(path: &Path, name: ConfName, state: &mut NodeState) {
    let why = match read_regular(path) {
        Ok(text) => return state.confs.push(ConfFile { name, text }),
        Err(error) if error.kind() != ErrorKind::NotFound => error.to_string(),
        Err(_) if fs::symlink_metadata(path).is_err() => return,
        Err(_) => "it is a link to a missing file".to_owned(),
    };
    state.unreadable.push(UnreadableConf { name, why });
}

/// Reads a regular file of limited length. Reading another file might not end.
pub(crate) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 2 MiB"));
    }
    Ok(text)
}

/// Reads a file; `None` if it does not exist.
fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    if_exists("read", path, read_regular(path))
}

/// Reads a file; `None` if it does not exist.
fn read_text(path: &Path) -> Result<Option<String>, DiskError> {
    if_exists("read", path, fs::read_to_string(path))
}

fn if_exists<T>(
    action: &'static str,
    path: &Path,
    result: io::Result<T>,
) -> Result<Option<T>, DiskError> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some).map_err(DiskError::io(action, path)),
    }
}
