//! The demo's node: network and mount namespaces that this process moves into.
//!
//! Whatever is made there, links and files alike, is gone when the last process in them ends,
//! however it ends.

use std::fs;
use std::io;
use std::path::PathBuf;

use mesh_cni_netns::NetNs;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::error::DemoError;

/// A folder that every Linux has; the demo sees an empty one of its own in its place.
const FILES: &str = "/dev/shm";

/// The node, in which this process is now.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) netns: NetNs,
    files: PathBuf,
}

impl Node {
    /// Moves this process into a node of its own.
    pub(crate) fn enter() -> Result<Self, DemoError> {
        let what = "make network and mount namespaces";
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .map_err(DemoError::system(what))?;
        private_files().map_err(DemoError::system(format!("mount a tmpfs at `{FILES}`")))?;
        let node = Self {
            netns: NetNs::current()?,
            files: PathBuf::from(FILES),
        };
        for folder in [node.pod_dir(), node.run_dir()] {
            let make = DemoError::system(format!("make `{}`", folder.display()));
            fs::create_dir_all(&folder).map_err(make)?;
        }
        Ok(node)
    }

    /// Where the manifests of the node's pods are.
    pub(crate) fn pod_dir(&self) -> PathBuf {
        self.files.join("pods")
    }

    /// Where the plugin keeps its log.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.files.join("run")
    }

    /// Where host-local notes the addresses it gave away.
    pub(crate) fn ipam_dir(&self) -> PathBuf {
        self.files.join("ipam")
    }

    /// The lock of `x_tables` programs, which would else be a file of the machine's.
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
