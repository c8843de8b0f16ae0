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
    /// A file of another sorts before the one that is to be the first.
    #[error("`{first}` goes before `{path}`, so runtimes would not take the copy")]
    NotFirst {
        /// The copy.
        path: PathBuf,
        /// The other one.
        first: PathBuf,
    },
    /// Runtimes append nothing to this network.
    #[error(
        "runtimes append no plugin to `{path}`: it is no list, or sets `loadOnlyInlinedPlugins`, \
         or its name is no directory's"
    )]
    NoDropIns {
        /// The file.
        path: PathBuf,
    },
    /// Istio CNI programs the pods already.
    #[error("`{path}` names istio-cni, and two plugins must not redirect the same pod")]
    IstioCni {
        /// The list.
        path: PathBuf,
    },
    /// Istio CNI programs the pods already, and its place cannot be taken in this mode.
    #[error("`{path}` names istio-cni, whose place can be taken in that list only")]
    IstioCniElsewhere {
        /// The list.
        path: PathBuf,
    },
    /// Istio CNI's entry cannot come back.
    #[error("istio-cni cannot come back into `{path}`: its binary is gone")]
    IstioCniGone {
        /// The list.
        path: PathBuf,
    },
    /// A kubeconfig is asked for, and there is nothing to write into it.
    #[error("no token and certificates of a service account to write a kubeconfig with")]
    NoAccount,
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
            Self::NotFirst { .. } => {
                "name the copy so that it goes before every other file, with \
                 --owned-cni-config-filename"
            }
            Self::NoDropIns { .. } => "use --mode chained or owned-first",
            Self::IstioCni { .. } => {
                "uninstall Istio CNI first, or take its place with --replace-istio-cni"
            }
            Self::IstioCniElsewhere { .. } => {
                "uninstall Istio CNI first, or use --mode chained with --replace-istio-cni"
            }
            Self::IstioCniGone { .. } => {
                "install Istio CNI first, or uninstall without --restore-istio-cni"
            }
            Self::NoAccount => {
                "mount the service account's token, or name its directory with \
                 --service-account-dir"
            }
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
