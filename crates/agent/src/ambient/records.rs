//! The enrolled pods of this node, one file each in the run directory, which ends with the boot.
//!
//! An agent that starts learns from them which pods it must not lose, also those whose annotation is not
//! written yet. Everything else about a pod is read again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mesh_cni_kube::pod::{Pod, PodName};
use mesh_cni_zds::Workload;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// The name of the directory in the run directory.
const DIRECTORY: &str = "ambient";

/// The most bytes of a file.
const MAX_BYTES: u64 = 16 * 1024;

/// The longest UID, in bytes. Kubernetes creates UIDs of 36.
const MAX_UID: usize = 128;

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) service_account: String,
    /// The addresses of the pod.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Record {
    /// What is kept of that pod, which has these addresses.
    pub(crate) fn of(pod: &Pod, addresses: &[IpAddr]) -> Self {
        Self {
            namespace: pod.name.namespace.clone(),
            name: pod.name.name.clone(),
            service_account: pod.service_account.clone(),
            addresses: addresses.to_vec(),
        }
    }

    pub(crate) fn pod_name(&self) -> PodName {
        PodName::new(&self.namespace, &self.name)
    }

    pub(crate) fn workload(&self) -> Workload {
        Workload {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
        }
    }
}

/// The directory of the records.
#[derive(Clone, Debug)]
pub(crate) struct Records(PathBuf);

impl Records {
    /// Those in that run directory.
    pub(crate) fn open(run_dir: &Path) -> io::Result<Self> {
        let directory = run_dir.join(DIRECTORY);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&directory)?;
        Ok(Self(directory))
    }

    /// Every record by the UID of its pod. A file that is not a record is removed; what cannot be removed
    /// is skipped.
    pub(crate) fn load(&self) -> io::Result<BTreeMap<String, Record>> {
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let uid = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            match read(&path) {
                Ok(record) if is_file_name(uid) => drop(records.insert(uid.to_owned(), record)),
                _ => {
                    let removed = fs::remove_file(&path);
                    let what = removed.map_or("cannot be removed", |()| "is removed");
                    warn!("ambient: `{}` is not a record and {what}", path.display());
                }
            }
        }
        Ok(records)
    }

    /// Writes a record, so that it is complete or as before.
    pub(crate) fn save(&self, uid: &str, record: &Record) -> io::Result<()> {
        if !is_file_name(uid) {
            return Err(io::Error::other(
                "the pod has a UID that Kubernetes does not create",
            ));
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.persist(self.0.join(uid))?;
        Ok(())
    }

    /// Removes a record, if it exists.
    pub(crate) fn remove(&self, uid: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(uid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let file = fs::File::open(path)?;
    let text = io::read_to_string(io::Read::take(file, MAX_BYTES))?;
    Ok(serde_json::from_str(&text)?)
}

/// Whether a UID is a file name that does not begin with a dot, as names of temporary files do.
fn is_file_name(uid: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=MAX_UID).contains(&uid.len()) && uid.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        Record {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            service_account: "default".to_owned(),
            addresses: vec![[10, 0, 0, 5].into()],
        }
    }

    #[test]
    fn records_outlive_the_agent_and_unreadable_files_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        records.save("uid-1", &record("cart")).unwrap();
        records.save("uid-2", &record("web")).unwrap();
        records.save("uid-1", &record("cart-2")).unwrap();
        records.remove("uid-2").unwrap();
        records.remove("uid-2").unwrap();
        let at = |name: &str| directory.path().join(DIRECTORY).join(name);
        fs::write(at("uid-3"), "{").unwrap();
        fs::write(at(".tmp"), serde_json::to_vec(&record("x")).unwrap()).unwrap();
        fs::create_dir(at("a-directory")).unwrap();
        let loaded = Records::open(directory.path()).unwrap().load().unwrap();
        assert_eq!(
            loaded,
            BTreeMap::from([("uid-1".to_owned(), record("cart-2"))])
        );
        assert!(!at("uid-3").exists() && !at(".tmp").exists());
    }

    #[test]
    fn a_uid_is_no_path() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        for uid in ["", ".", "../x", "a/b", &"a".repeat(129)] {
            assert!(records.save(uid, &record("x")).is_err(), "{uid}");
        }
    }
}
