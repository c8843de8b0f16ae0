//! Pod source `file`: a directory with one manifest for each pod, `NAMESPACE_NAME.yaml`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mesh_cni_selector::{MAX_MANIFEST_BYTES, PodFacts};
use mesh_cni_spec::PodArgs;

use super::FactsError;

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The pod's facts, and the path of its manifest.
pub(super) fn read(directory: &Path, pod: &PodArgs) -> Result<(PathBuf, PodFacts), FactsError> {
    let stem = format!("{}_{}", pod.namespace, pod.name);
    for extension in EXTENSIONS {
        let path = directory.join(format!("{stem}.{extension}"));
        match File::open(&path) {
            Ok(file) => return parse(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(FactsError::Unreadable { path, source }),
        }
    }
    available(directory)?;
    Err(FactsError::NoManifest {
        pod: format!("{}/{}", pod.namespace, pod.name),
        stem: directory.join(stem),
    })
}

pub(super) fn available(directory: &Path) -> Result<(), FactsError> {
    match fs::read_dir(directory) {
        Ok(_) => Ok(()),
        Err(source) => Err(FactsError::Directory {
            path: directory.into(),
            source,
        }),
    }
}

fn parse(path: PathBuf, file: File) -> Result<(PathBuf, PodFacts), FactsError> {
    let limit = MAX_MANIFEST_BYTES as u64;
    // A manifest has a few thousand bytes, so most are read with one system call.
    let mut text = String::with_capacity(16 * 1024);
    if let Err(source) = file.take(limit + 1).read_to_string(&mut text) {
        return Err(FactsError::Unreadable { path, source });
    }
    if text.len() as u64 > limit {
        return Err(FactsError::TooLarge { path, limit });
    }
    match PodFacts::from_manifest(&text) {
        Ok(facts) => Ok((path, facts)),
        Err(source) => Err(FactsError::Manifest { path, source }),
    }
}
