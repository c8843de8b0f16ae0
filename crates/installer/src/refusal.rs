//! Why a node cannot be changed as asked for, and what to do about it.

use std::path::PathBuf;

use mesh_cni_spec::ConfListError;

/// Why a node cannot be changed as asked for. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The agent carries no plugin binary.
    #[error("plugin binary `{path}` is no file that can be read")]
    NoPluginBinary {
        /// The file.
        path: PathBuf,
    },
    /// The directory of plugin binaries is not there.
    #[error("directory of plugin binaries `{path}` does not exist")]
    NoBinDir {
        /// The directory.
        path: PathBuf,
    },
    /// The directory of network configurations is not there.
    #[error("directory of network configurations `{path}` does not exist")]
    NoConfDir {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has nothing that a runtime would take.
    #[error("directory `{path}` holds no network configuration (.conflist, .conf or .json)")]
    NoConf {
        /// The directory.
        path: PathBuf,
    },
    /// The configuration that was named is not there.
    #[error("network configuration `{path}` does not exist")]
    NoSuchConf {
        /// The file.
        path: PathBuf,
    },
    /// The configuration to work on cannot be read.
    #[error("cannot edit network configuration `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfListError,
    },
    /// There is no other plugin in the list.
    #[error("network configuration `{path}` has no plugin that mesh-cni could be chained to")]
    NothingToChain {
        /// The file.
        path: PathBuf,
    },
    /// A single plugin's file cannot become a list, since another network has its name.
    #[error("`{single}` cannot become a list: `{list}` exists and holds something else")]
    Occupied {
        /// The single plugin's file.
        single: PathBuf,
        /// The list's.
        list: PathBuf,
    },
    /// The file that was meant for us alone is someone else's.
    #[error("`{path}` holds plugins of others and cannot become a network of mesh-cni alone")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be edited may name the plugin, so its binary has to stay.
    #[error("cannot take mesh-cni out of `{path}`, which mentions it")]
    Uneditable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfListError,
    },
}

impl Refusal {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoPluginBinary { .. } => "name the binary of mesh-cni with --plugin-binary",
            Self::NoBinDir { .. } => "name the directory of the runtime with --cni-bin-dir",
            Self::NoConfDir { .. } => {
                "name the directory of the runtime with --cni-conf-dir, or give the cluster's own \
                 network plugin time with --wait"
            }
            Self::NoConf { .. } | Self::NoSuchConf { .. } => {
                "install the cluster's own network plugin first, or give it time with --wait"
            }
            Self::Unreadable { .. } => {
                "mend the file as the runtime needs it, or name another one with --cni-conf-name"
            }
            Self::NothingToChain { .. } => {
                "name the network's own configuration with --cni-conf-name, or use --chained=false"
            }
            Self::Occupied { .. } => {
                "remove the file that is not in use, or name the list with --cni-conf-name"
            }
            Self::NotOurs { .. } => "name a file that does not exist with --cni-conf-name",
            Self::Uneditable { .. } => "mend the file or move it away, then uninstall again",
        }
    }

    /// Can it go away by itself, when the cluster's own network plugin is started?
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NoConfDir { .. } | Self::NoConf { .. } | Self::NoSuchConf { .. }
        )
    }
}
