//! Atomic changes of a node.

mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{NestedEntry, Peer, Sandboxes, Secret};

/// The steps to carry out, in order, and notes on what stays unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes; empty if the node is up to date.
    pub steps: Vec<Step>,
    /// What stays unchanged, and why.
    pub notes: Vec<Note>,
}

/// A change of the node. Its text describes it in the past tense.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Remove a temporary file of an interrupted run.
    RemoveLeftover {
        /// The file.
        path: PathBuf,
    },
    /// Write the plugin's binary, mode 0755.
    WriteBinary {
        /// The agent's plugin binary.
        from: PathBuf,
        /// The path on the node.
        path: PathBuf,
    },
    /// Write the kubeconfig of pod source `api`, mode 0600.
    WriteKubeconfig {
        /// The file.
        path: PathBuf,
        /// Its content.
        text: Secret,
    },
    /// Write a network configuration list, or our file in a network's directory.
    WriteList {
        /// The file.
        path: PathBuf,
        /// Its new content.
        text: Vec<u8>,
        /// The expected current content; `None` if the file must not exist.
        was: Option<Vec<u8>>,
        /// Its permissions and owner.
        access: Access,
        /// What changes in it.
        edit: Edit,
    },
    /// Rename a single plugin's file that was converted to a list, so that no runtime loads it.
    SetAside {
        /// The name that the runtime loads.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
        /// The expected current content.
        was: Vec<u8>,
    },
    /// Rename a file back to its original name.
    Restore {
        /// The current name, which no runtime loads.
        from: PathBuf,
        /// The original name.
        to: PathBuf,
    },
    /// Remove a list that is useless without our entry.
    RemoveList {
        /// The file.
        path: PathBuf,
        /// The expected current content.
        was: Vec<u8>,
    },
    /// Remove our file in the directory of a network, and make runtimes load the list again.
    RemoveDropIn {
        /// The file.
        path: PathBuf,
        /// The expected current content.
        was: Vec<u8>,
    },
    /// Remove a renamed file, because a file with its original name exists again.
    DiscardSaved {
        /// The file.
        path: PathBuf,
    },
    /// Wait for the runtime to load the written files.
    AwaitReload {
        /// How long.
        pause: Duration,
    },
    /// Remove a directory if it is empty.
    RemoveDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Remove a file of the run directory: kubeconfig, socket or log.
    RemoveRunFile {
        /// The file.
        path: PathBuf,
    },
    /// Remove the plugin's binary.
    RemoveBinary {
        /// The file.
        path: PathBuf,
    },
    /// Write the file that makes the binary pass everything through.
    WriteMark {
        /// The file.
        path: PathBuf,
    },
    /// Remove that file.
    RemoveMark {
        /// The file.
        path: PathBuf,
    },
}

/// Permissions and owner of a written file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those of this file.
    Like(PathBuf),
    /// Mode 0644 and the current user.
    New,
}

/// What changes in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Our entry is added at the end.
    Appended,
    /// Our entry replaces an older one.
    Replaced,
    /// New file: a single plugin's file converted to a list, with our entry at the end.
    Converted {
        /// The single plugin's file.
        from: PathBuf,
    },
    /// New file: a network with our plugin only.
    StandAlone,
    /// New file: a copy of the network's own list with our entry at the end.
    Copied {
        /// The network's own list.
        from: PathBuf,
    },
    /// New file: our file in the network's directory, which runtimes append to the list.
    DropIn,
    /// Our entry replaces those of these peers.
    ReplacedPeers(BTreeSet<Peer>),
    /// The entries of these peers replace ours.
    RestoredPeers(BTreeSet<Peer>),
    /// Our entry is removed.
    Removed,
}

/// Something that stays unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The binary is up to date.
    BinaryInPlace {
        /// The file.
        path: PathBuf,
    },
    /// The entry is up to date.
    EntryInPlace {
        /// The list.
        path: PathBuf,
    },
    /// The copy of the network's list is up to date.
    CopyUpToDate {
        /// The copy.
        path: PathBuf,
    },
    /// The copy stays because its original is missing and the runtime has no other list.
    CopyWithoutOriginal {
        /// The copy.
        path: PathBuf,
    },
    /// The kubeconfig is up to date.
    KubeconfigInPlace {
        /// The file.
        path: PathBuf,
    },
    /// A file keeps its new name, because others changed or removed the list that replaced it.
    SavedFileKept {
        /// The file.
        path: PathBuf,
    },
    /// A file with the name of a network configuration is passed over, because a runtime would not load
    /// it.
    Ignored {
        /// The file.
        path: PathBuf,
        /// Why a runtime would not load it.
        why: String,
        /// What does not work because of its place in the order of names.
        blocks: Option<Blocked>,
    },
    /// The binary stays, as requested.
    BinaryKept {
        /// The file.
        path: PathBuf,
    },
    /// The binary stays for sandboxes that were created with it.
    BinaryNeeded {
        /// The file.
        path: PathBuf,
        /// How many there are, if known.
        sandboxes: Sandboxes,
    },
    /// The runtime calls another plugin, whose copy of the network has no entry yet.
    StaleNetwork {
        /// The configuration that the runtime loads.
        conf: PathBuf,
        /// The network's name.
        network: String,
    },
    /// The binary stays because a configuration that this program does not edit names it.
    BinaryNamed {
        /// The file.
        path: PathBuf,
        /// The entry.
        by: NestedEntry,
    },
    /// A plugin of the list is missing, so CRI-O passes over the file.
    PluginMissing {
        /// The list.
        path: PathBuf,
        /// The plugin.
        plugin: String,
        /// The directory of plugin binaries.
        bin_dir: PathBuf,
    },
    /// Newer runtimes append a file to the list that they cannot load, so they do not load the list.
    DropInBroken {
        /// The list.
        list: PathBuf,
        /// The file, or the network's directory.
        path: PathBuf,
        /// Why a runtime cannot load it.
        why: String,
    },
    /// The runtime attached the newest pod to another network.
    ListUnused {
        /// The list.
        path: PathBuf,
        /// The list's network.
        network: String,
        /// The network of the pod.
        used: String,
    },
    /// A peer's entry is not restored, because none was replaced.
    NoPeerEntryToRestore(Peer),
    /// A peer's entry is not restored, because its agent has written its entry itself.
    PeerEntryExists {
        /// The configuration with its entry.
        path: PathBuf,
        /// The peer.
        peer: Peer,
    },
    /// A peer's entry is not restored, because a file that the peer needs is missing.
    PeerFileMissing {
        /// The list that keeps the entry.
        path: PathBuf,
        /// The peer.
        peer: Peer,
        /// The file: its binary or its kubeconfig.
        file: &'static str,
    },
    /// A replaced peer's kubeconfig, which contains a token, is still on the node.
    PeerKubeconfig {
        /// The file.
        path: PathBuf,
        /// The peer.
        peer: Peer,
    },
    /// The node has no files of ours.
    NothingInstalled,
}

/// What does not work while a file cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// It sorts before every file that a runtime would load, and containerd stops at it.
    EveryNetwork,
    /// It sorts before our own network, and Multus stops at it when a pod requests ours.
    OwnNetwork,
}

impl Note {
    /// Whether the runtime may not call the plugin, or start no pod, because of it.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::PluginMissing { .. }
                | Self::DropInBroken { .. }
                | Self::StaleNetwork { .. }
                | Self::ListUnused { .. }
                | Self::Ignored {
                    blocks: Some(_),
                    ..
                }
        )
    }
}

impl Step {
    /// Its name in JSON output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RemoveLeftover { .. } => "remove-leftover",
            Self::WriteBinary { .. } => "write-binary",
            Self::WriteKubeconfig { .. } => "write-kubeconfig",
            Self::WriteList { .. } => "write-list",
            Self::SetAside { .. } => "set-aside",
            Self::Restore { .. } => "put-back",
            Self::RemoveList { .. } | Self::RemoveDropIn { .. } => "remove-list",
            Self::DiscardSaved { .. } => "discard-saved",
            Self::AwaitReload { .. } => "await-reload",
            Self::RemoveDirectory { .. } => "remove-directory",
            Self::RemoveRunFile { .. } => "remove-run-file",
            Self::RemoveBinary { .. } => "remove-binary",
            Self::WriteMark { .. } => "write-mark",
            Self::RemoveMark { .. } => "remove-mark",
        }
    }

    /// The file that it creates, writes or removes.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::SetAside { to: path, .. }
            | Self::Restore { to: path, .. }
            | Self::RemoveLeftover { path }
            | Self::WriteBinary { path, .. }
            | Self::WriteKubeconfig { path, .. }
            | Self::WriteList { path, .. }
            | Self::RemoveList { path, .. }
            | Self::RemoveDropIn { path, .. }
            | Self::DiscardSaved { path }
            | Self::RemoveDirectory { path }
            | Self::RemoveRunFile { path }
            | Self::RemoveBinary { path }
            | Self::WriteMark { path }
            | Self::RemoveMark { path } => Some(path),
            Self::AwaitReload { .. } => None,
        }
    }
}

impl Note {
    /// Whether it says why the binary stays.
    pub(crate) fn is_about_kept_binary(&self) -> bool {
        matches!(
            self,
            Self::BinaryKept { .. } | Self::BinaryNeeded { .. } | Self::BinaryNamed { .. }
        )
    }
}
