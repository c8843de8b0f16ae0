//! Steps and notes in words, as something done.

use std::fmt;

use super::{Edit, Note, Step};
use crate::Sandboxes;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveLeftover { path } => {
                write!(
                    f,
                    "removed {}, left by a run that was killed",
                    path.display()
                )
            }
            Self::WriteBinary { path, .. } => write!(f, "wrote {}", path.display()),
            Self::WriteList { path, edit, .. } => write!(f, "wrote {}: {edit}", path.display()),
            Self::SetAside { from, to, .. } => {
                write!(f, "set {} aside as {}", from.display(), to.display())
            }
            Self::PutBack { from, to } => {
                write!(f, "put {} back from {}", to.display(), from.display())
            }
            Self::DiscardSaved { path } => {
                write!(f, "removed {}: its place is taken again", path.display())
            }
            Self::AwaitReload { pause } => {
                write!(f, "gave the runtime {pause:?} to load what was written")
            }
            Self::WriteKubeconfig { path, .. } => {
                write!(f, "wrote {}, for the owner alone", path.display())
            }
            Self::RemoveList { path, .. }
            | Self::RemoveDirectory { path }
            | Self::RemoveRunFile { path }
            | Self::RemoveBinary { path } => {
                write!(f, "removed {}", path.display())
            }
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appended => f.write_str("mesh-cni is its last plugin"),
            Self::Replaced => f.write_str("the entry of mesh-cni is new"),
            Self::Converted { from } => {
                write!(f, "{} with mesh-cni as the last plugin", from.display())
            }
            Self::Own => f.write_str("a network of mesh-cni alone"),
            Self::Copied { from } => {
                write!(
                    f,
                    "a copy of {} with mesh-cni as the last plugin",
                    from.display()
                )
            }
            Self::DroppedIn => f.write_str("runtimes append mesh-cni to the list"),
            Self::TookOver => f.write_str("mesh-cni in the place of istio-cni"),
            Self::GaveBack => f.write_str("istio-cni in the place of mesh-cni"),
            Self::Removed => f.write_str("without mesh-cni"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BinaryInPlace { path } | Self::KubeconfigInPlace { path } => {
                write!(f, "already there: {}", path.display())
            }
            Self::EntryInPlace { path } => {
                write!(f, "already there: the entry in {}", path.display())
            }
            Self::CopyInStep { path } => {
                write!(
                    f,
                    "already there: {}, in step with the network's list",
                    path.display()
                )
            }
            Self::CopyAlone { path } => write!(
                f,
                "kept {}: the network's own list is gone, and pods depend on the copy",
                path.display()
            ),
            Self::SavedKept { path } => write!(
                f,
                "kept {}: the list that took its place was changed or removed by others",
                path.display()
            ),
            Self::PassedOver { path } => write!(
                f,
                "passed over {}: it is no whole network configuration, and does not name mesh-cni",
                path.display()
            ),
            Self::BinaryKept { path } => write!(f, "kept {}", path.display()),
            Self::BinaryNeeded { path, sandboxes } => write!(
                f,
                "kept {}: {sandboxes}; its DEL does nothing",
                path.display()
            ),
            Self::NothingToGiveBack => {
                f.write_str("no entry of istio-cni was replaced, so none comes back")
            }
            Self::NothingInstalled => f.write_str("nothing of mesh-cni is on this node"),
        }
    }
}

impl fmt::Display for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("sandboxes that were made with it may be there"),
            Self::Counted(1) => f.write_str("1 sandbox that was made with it is there"),
            Self::Counted(count) => write!(f, "{count} sandboxes that were made with it are there"),
        }
    }
}
