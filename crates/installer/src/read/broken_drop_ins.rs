//! Finds files in networks' directories that newer runtimes cannot append to a list.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mesh_cni_spec::{ConfList, ConfListError};

use super::read_regular;
use crate::settings::DROP_IN;
use crate::{BrokenDropIn, ConfFile, ConfKind, NodePaths, error_chain};

/// Reads the directories of all lists as libcni does: every file that ends in `.conf`, in name order, up to
/// the first that cannot be loaded. Our own file is left out, because an installation replaces it.
pub(super) fn read(paths: &NodePaths, confs: &[ConfFile]) -> Vec<BrokenDropIn> {
    let lists = confs
        .iter()
        .filter(|conf| conf.name.kind() == ConfKind::List);
    let mut networks: Vec<_> = lists
        .filter_map(|conf| Some(conf.list().ok()?.name().to_owned()))
        .filter(|network| !network.is_empty() && !network.contains('/'))
        .collect();
    networks.sort();
    networks.dedup();
    networks
        .into_iter()
        .filter_map(|network| {
            let (path, why) = first_broken(&paths.drop_in_dir(&network)).err()?;
            Some(BrokenDropIn { network, path, why })
        })
        .collect()
}

fn first_broken(directory: &Path) -> Result<(), (PathBuf, String)> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| (directory.to_owned(), error.to_string()))?,
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
        .filter(|entry| entry.file_name() != DROP_IN)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "conf"))
        .collect();
    files.sort();
    files
        .into_iter()
        .try_for_each(|path| check(&path).map_err(|why| (path, why)))
}

fn check(path: &Path) -> Result<(), String> {
    let text = read_regular(path).map_err(|error| error.to_string())?;
    match ConfList::from_conf(text) {
        Ok(_) | Err(ConfListError::TooDeep) => Ok(()),
        Err(error) => Err(error_chain(&error)),
    }
}
