//! Single changes of a node, each of which is carried out whole or not at all.

mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Sandboxes, Secret};

/// What is to be done, in this order, and what need not be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes; none where everything is as wanted.
    pub steps: Vec<Step>,
    /// What was left as it is, and why.
    pub notes: Vec<Note>,
}

/// A change of the node. Its text says it as something done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Remove a half-written file of a run that was killed.
    RemoveLeftover {
        /// The file.
        path: PathBuf,
    },
    /// Write the plugin's binary, mode 0755.
    WriteBinary {
        /// The binary that the agent carries.
        from: PathBuf,
        /// Where the runtime looks for it.
        path: PathBuf,
    },
    /// Write the kubeconfig of pod source `api`, mode 0600.
    WriteKubeconfig {
        /// The file.
        path: PathBuf,
        /// Its content.
        text: Secret,
    },
    /// Write a network configuration list, or our part of one.
    WriteList {
        /// The file.
        path: PathBuf,
        /// Its new content.
        text: String,
        /// The content that it must still have; `None` if there must be no such file.
        was: Option<String>,
        /// Its permissions and owner.
        access: Access,
        /// What is new in it.
        edit: Edit,
    },
    /// Rename a single plugin's file, whose list is in place, to a name that no runtime reads.
    SetAside {
        /// The name that the runtime reads.
        from: PathBuf,
        /// The other one.
        to: PathBuf,
        /// The content that it must still have.
        was: String,
    },
    /// Give a file that was set aside its name back.
    PutBack {
        /// The name that no runtime reads.
        from: PathBuf,
        /// The name that it had.
        to: PathBuf,
    },
    /// Remove a list, or our part of one, that is of no use without our entry.
    RemoveList {
        /// The file.
        path: PathBuf,
        /// The content that it must still have.
        was: String,
    },
    /// Remove a file that was set aside, since its place is taken again.
    DiscardSaved {
        /// The file.
        path: PathBuf,
    },
    /// Let the runtime load what was written.
    AwaitReload {
        /// How long.
        pause: Duration,
    },
    /// Remove a directory that nothing is in any more; one that is not empty stays.
    RemoveDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Remove a file of the run directory: kubeconfig, socket or log.
    RemoveRunFile {
        /// The file.
        path: PathBuf,
    },
    /// Remove the plugin's binary, which no list names any more.
    RemoveBinary {
        /// The file.
        path: PathBuf,
    },
}

/// Permissions and owner of a file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those of this file.
    Of(PathBuf),
    /// Mode 0644 and the agent's own user.
    New,
}

/// What is new in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Our entry, at the end.
    Appended,
    /// Our entry, in the place of an older one.
    Replaced,
    /// All of it: a single plugin's file became a list with our entry at the end.
    Converted {
        /// That file.
        from: PathBuf,
    },
    /// All of it: a file of our own, outside of any chain.
    Own,
    /// All of it: a copy of the network's own list with our entry at the end.
    Copied {
        /// The network's own.
        from: PathBuf,
    },
    /// All of it: the file that makes a runtime append our plugin to a list.
    DroppedIn,
    /// Our entry, in the place of Istio CNI's.
    TookOver,
    /// Istio CNI's entry, in the place of ours.
    GaveBack,
    /// Our entry is gone.
    Removed,
}

/// Something that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The binary is in place.
    BinaryInPlace {
        /// The file.
        path: PathBuf,
    },
    /// The entry is in place.
    EntryInPlace {
        /// The list.
        path: PathBuf,
    },
    /// The copy of the network's list says what it should.
    CopyInStep {
        /// The copy.
        path: PathBuf,
    },
    /// The network's own list is gone, and the copy stays: it is all that a runtime has.
    CopyAlone {
        /// The copy.
        path: PathBuf,
    },
    /// The kubeconfig says what it should.
    KubeconfigInPlace {
        /// The file.
        path: PathBuf,
    },
    /// A file stays set aside: the list that took its place was changed or removed by others.
    SavedKept {
        /// The file.
        path: PathBuf,
    },
    /// A file that is no network configuration does not name us.
    PassedOver {
        /// The file.
        path: PathBuf,
    },
    /// The binary stays, as asked for.
    BinaryKept {
        /// The file.
        path: PathBuf,
    },
    /// The binary stays for sandboxes that were made with it.
    BinaryNeeded {
        /// The file.
        path: PathBuf,
        /// How many there are, or that nobody knows.
        sandboxes: Sandboxes,
    },
    /// Istio CNI's entry was to come back, and no install has replaced one.
    NothingToGiveBack,
    /// There is nothing of ours on this node.
    NothingInstalled,
}

impl Step {
    /// Its name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RemoveLeftover { .. } => "remove-leftover",
            Self::WriteBinary { .. } => "write-binary",
            Self::WriteKubeconfig { .. } => "write-kubeconfig",
            Self::WriteList { .. } => "write-list",
            Self::SetAside { .. } => "set-aside",
            Self::PutBack { .. } => "put-back",
            Self::RemoveList { .. } => "remove-list",
            Self::DiscardSaved { .. } => "discard-saved",
            Self::AwaitReload { .. } => "await-reload",
            Self::RemoveDirectory { .. } => "remove-directory",
            Self::RemoveRunFile { .. } => "remove-run-file",
            Self::RemoveBinary { .. } => "remove-binary",
        }
    }

    /// The file that it makes or takes away.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::SetAside { to: path, .. }
            | Self::PutBack { to: path, .. }
            | Self::RemoveLeftover { path }
            | Self::WriteBinary { path, .. }
            | Self::WriteKubeconfig { path, .. }
            | Self::WriteList { path, .. }
            | Self::RemoveList { path, .. }
            | Self::DiscardSaved { path }
            | Self::RemoveDirectory { path }
            | Self::RemoveRunFile { path }
            | Self::RemoveBinary { path } => Some(path),
            Self::AwaitReload { .. } => None,
        }
    }
}
