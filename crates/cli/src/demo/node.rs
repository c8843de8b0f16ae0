//! The demo's node: network and mount namespaces that this process enters.
//!
//! The kernel removes links and files in them when the last process in the namespaces ends.

use std::fs;
use std::io;
use std::path::PathBuf;

use mesh_cni_netns::NetNs;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::error::DemoError;

/// A directory that every Linux has. The demo mounts its own tmpfs over it.
const FILES: &str = "/dev/shm";

/// The node that this process has entered.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) netns: NetNs,
    files: PathBuf,
}

impl Node {
    /// Creates the namespaces and enters them.
    pub(crate) fn enter() -> Result<Self, DemoError> {
        let what = "create network and mount namespaces";
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .map_err(DemoError::system(what))?;
        private_files().map_err(DemoError::system(format!("mount a tmpfs at `{FILES}`")))?;
        let node = Self {
            netns: NetNs::current()?,
            files: PathBuf::from(FILES),
        };
        for directory in [node.pod_dir(), node.run_dir()] {
            let what = format!("create `{}`", directory.display());
            fs::create_dir_all(&directory).map_err(DemoError::system(what))?;
        }
        Ok(node)
    }

    /// The directory of the pods' manifests.
    pub(crate) fn pod_dir(&self) -> PathBuf {
        self.files.join("pods")
    }

    /// The plugin's configuration, for other commands.
    pub(crate) fn entry(&self) -> PathBuf {
        self.files.join("entry.json")
    }

    /// The plugin's run directory.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.files.join("run")
    }

    /// The directory in which host-local stores the addresses in use.
    pub(crate) fn ipam_dir(&self) -> PathBuf {
        self.files.join("ipam")
    }

    /// The lock file of `x_tables` programs, instead of the machine's.
    pub(crate) fn xtables_lock(&self) -> PathBuf {
        self.files.join("xtables.lock")
    }
}

fn private_files() -> io::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        FILES,
        Some("tmpfs"),
        flags,
        Some("mode=0755"),
    )?;
    Ok(())
}
