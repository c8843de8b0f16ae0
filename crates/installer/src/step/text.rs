//! Texts of steps and notes.

use std::fmt;

use super::{Blocked, Edit, Note, Step};
use crate::Sandboxes;
use crate::peer::names;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveLeftover { path } => {
                write!(f, "removed {}, left by an interrupted run", path.display())
            }
            Self::WriteBinary { path, .. } => write!(f, "wrote {}", path.display()),
            Self::WriteList { path, edit, .. } => write!(f, "wrote {}: {edit}", path.display()),
            Self::SetAside { from, to, .. } => {
                write!(f, "renamed {} to {}", from.display(), to.display())
            }
            Self::Restore { from, to } => {
                write!(f, "restored {} from {}", to.display(), from.display())
            }
            Self::DiscardSaved { path } => {
                write!(f, "removed {}: the original file exists", path.display())
            }
            Self::AwaitReload { pause } => {
                write!(f, "waited {pause:?} for the runtime to load the changes")
            }
            Self::WriteKubeconfig { path, .. } => {
                write!(f, "wrote {} with mode 0600", path.display())
            }
            Self::RemoveList { path, .. }
            | Self::RemoveDropIn { path, .. }
            | Self::RemoveDirectory { path }
            | Self::RemoveRunFile { path }
            | Self::RemoveMark { path }
            | Self::RemoveBinary { path } => {
                write!(f, "removed {}", path.display())
            }
            Self::WriteMark { path } => write!(
                f,
                "wrote {}: while it exists, mesh-cni passes every pod through",
                path.display()
            ),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appended => f.write_str("mesh-cni is its last plugin"),
            Self::Replaced => f.write_str("mesh-cni entry updated"),
            Self::Converted { from } => {
                write!(f, "{} with mesh-cni as the last plugin", from.display())
            }
            Self::StandAlone => f.write_str("a network with mesh-cni only"),
            Self::Copied { from } => {
                write!(
                    f,
                    "a copy of {} with mesh-cni as the last plugin",
                    from.display()
                )
            }
            Self::DropIn => f.write_str("runtimes append mesh-cni to the list"),
            Self::ReplacedPeers(peers) => write!(f, "mesh-cni replaces {}", names(peers)),
            Self::RestoredPeers(peers) => match peers.len() {
                1 => write!(f, "{} replaces mesh-cni", names(peers)),
                _ => write!(f, "{} replace mesh-cni", names(peers)),
            },
            Self::Removed => f.write_str("without mesh-cni"),
        }
    }
}

impl fmt::Display for Note {
    #[expect(clippy::too_many_lines, reason = "one sentence for each note")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BinaryInPlace { path } | Self::KubeconfigInPlace { path } => {
                write!(f, "already up to date: {}", path.display())
            }
            Self::EntryInPlace { path } => {
                write!(f, "already up to date: the entry in {}", path.display())
            }
            Self::CopyUpToDate { path } => {
                let path = path.display();
                write!(
                    f,
                    "already up to date: {path}, a copy of the network's list"
                )
            }
            Self::CopyWithoutOriginal { path } => write!(
                f,
                "kept {}: the network's own list is missing, so pods depend on this copy",
                path.display()
            ),
            Self::SavedFileKept { path } => write!(
                f,
                "kept {}: another program changed or removed the list that replaced it",
                path.display()
            ),
            Self::Ignored { path, why, blocks } => {
                let path = path.display();
                write!(f, "ignored {path}, which runtimes do not load: {why}")?;
                f.write_str(match blocks {
                    None => "",
                    Some(Blocked::EveryNetwork) => {
                        "; containerd loads no network while this file is the first"
                    }
                    Some(Blocked::OwnNetwork) => {
                        "; while it sorts before the network of mesh-cni, pods that request that network do \
                         not start; fix or remove it"
                    }
                })
            }
            Self::BinaryKept { path } => write!(f, "kept {}", path.display()),
            Self::BinaryNeeded { path, sandboxes } => {
                write!(f, "kept {}: {sandboxes} for DEL", path.display())
            }
            Self::StaleNetwork { conf, network } => write!(
                f,
                "not redirecting: {} has a copy of network `{network}` without mesh-cni; restart Multus, or \
                 the program that wrote the file",
                conf.display()
            ),
            Self::BinaryNamed { path, by } => write!(
                f,
                "kept {}: {by}; run uninstall again after Multus, or the program that wrote the file, has written it again",
                path.display()
            ),
            Self::PluginMissing {
                path,
                plugin,
                bin_dir,
            } => write!(
                f,
                "warning: plugin `{plugin}` of {} is not in {}, so CRI-O uses another file: install \
                 the plugin or remove the file, or select the network's file with --cni-conf-name",
                path.display(),
                bin_dir.display()
            ),
            Self::DropInBroken { list, path, why } => write!(
                f,
                "warning: {} cannot be loaded, so runtimes that append such files, with libcni 1.3 or newer, \
                 do not load {} either: {why}; fix or remove it",
                path.display(),
                list.display()
            ),
            Self::ListUnused {
                path,
                network,
                used,
            } => write!(
                f,
                "warning: the runtime attached the newest pod to network `{used}`, not to \
                 `{network}` of {}: select the file of `{used}` with --cni-conf-name",
                path.display()
            ),
            Self::NoPeerEntryToRestore(peer) => {
                write!(f, "no {peer} entry to restore: none was replaced")
            }
            Self::PeerEntryExists { path, peer } => {
                let path = path.display();
                write!(f, "no {peer} entry to restore: {path} names {peer} already")
            }
            Self::PeerFileMissing { path, peer, file } => write!(
                f,
                "warning: {peer} is not restored in {}, because its {file} is missing; {}'s agent \
                 writes {file} and entry when it starts",
                path.display(),
                peer.title()
            ),
            Self::PeerKubeconfig { path, peer } => write!(
                f,
                "{} contains a token of {peer}, which mesh-cni does not need: remove it with {}'s DaemonSet",
                path.display(),
                peer.title()
            ),
            Self::NothingInstalled => f.write_str("mesh-cni is not on this node"),
        }
    }
}

impl fmt::Display for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("existing sandboxes may need it"),
            Self::Counted(1) => f.write_str("1 existing sandbox needs it"),
            Self::Counted(count) => write!(f, "{count} existing sandboxes need it"),
        }
    }
}
