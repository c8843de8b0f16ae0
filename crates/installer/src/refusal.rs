//! Why a node cannot be changed as requested, and what to do about it.

use std::path::PathBuf;

use mesh_cni_plan::ConfError;
use mesh_cni_spec::ConfListError;

use crate::{NodePaths, Peer, UnreadableConf};

/// Why a node cannot be changed as requested. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The plugin binary to install cannot be read.
    #[error("plugin binary `{path}` is not a readable file")]
    NoPluginBinary {
        /// The file.
        path: PathBuf,
    },
    /// The runtime's directory of plugin binaries is missing.
    #[error("CNI binary directory `{path}` does not exist")]
    NoBinDir {
        /// The directory.
        path: PathBuf,
    },
    /// The runtime's directory of network configurations is missing.
    #[error("CNI configuration directory `{path}` does not exist")]
    NoConfDir {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has no file that a runtime would load.
    #[error("directory `{path}` contains no network configuration (.conflist, .conf or .json)")]
    NoConf {
        /// The directory.
        path: PathBuf,
    },
    /// The requested configuration is missing.
    #[error("network configuration `{path}` does not exist")]
    NoSuchConf {
        /// The file.
        path: PathBuf,
    },
    /// The configuration cannot be parsed.
    #[error("cannot edit network configuration `{path}`")]
    InvalidConf {
        /// The file.
        path: PathBuf,
        /// The parse error.
        source: ConfListError,
    },
    /// Runtimes load the configuration, but this program does not edit it.
    #[error(
        "network configuration `{path}` is nested deeper than mesh-cni can edit, although runtimes load it"
    )]
    TooDeep {
        /// The file.
        path: PathBuf,
    },
    /// The configuration cannot be read.
    #[error("cannot read network configuration `{path}`: {why}")]
    UnreadableConf {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The only configurations are not the network of the cluster's pods.
    #[error("the only network configuration, `{path}`, has no plugin but `loopback`")]
    OnlyLoopback {
        /// The file.
        path: PathBuf,
    },
    /// The network has no name.
    #[error("network configuration `{path}` has no `name`")]
    Nameless {
        /// The file.
        path: PathBuf,
    },
    /// The list has no `plugins`; runtimes read its plugins from a directory.
    #[error("network configuration `{path}` has no `plugins`: runtimes read them from a directory")]
    PluginsInDirectory {
        /// The file.
        path: PathBuf,
    },
    /// The list has no other plugin.
    #[error("network configuration `{path}` has no plugin to chain mesh-cni to")]
    NothingToChain {
        /// The file.
        path: PathBuf,
    },
    /// A single plugin's file cannot be converted, because another network has the list's name.
    #[error("cannot convert `{single}` to a list: `{list}` exists and has other content")]
    ListExists {
        /// The single plugin's file.
        single: PathBuf,
        /// The existing list.
        list: PathBuf,
    },
    /// The file for mesh-cni's own network belongs to someone else.
    #[error("`{path}` contains other plugins, so mesh-cni cannot use it for a network of its own")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Another file sorts before the copy, which must be first.
    #[error("`{first}` sorts before `{path}`, so runtimes would not use the copy")]
    NotFirst {
        /// The copy.
        path: PathBuf,
        /// The other file.
        first: PathBuf,
    },
    /// Multus is the runtime's first network, so it calls our copy, or our copy calls it.
    #[error("`{path}` would be a copy of a network beside `{multus}`, which calls other networks")]
    CopyBesideMultus {
        /// The copy.
        path: PathBuf,
        /// Multus's file.
        multus: PathBuf,
    },
    /// Runtimes append no plugins to this network.
    #[error(
        "runtimes do not append plugins to `{path}`: it is not a list, it sets \
         `loadOnlyInlinedPlugins`, or its name is not a valid directory name"
    )]
    DropInsUnsupported {
        /// The file.
        path: PathBuf,
    },
    /// A peer already redirects the pods of this list.
    #[error("`{path}` names {peer}, and two plugins must not redirect the same pod")]
    Peer {
        /// The list.
        path: PathBuf,
        /// The peer.
        peer: Peer,
    },
    /// A peer already redirects the pods, and this mode cannot replace it.
    #[error("`{path}` names {peer}, which only modes `chained` and `owned-first` can replace")]
    PeerNotReplaceable {
        /// The list.
        path: PathBuf,
        /// The peer.
        peer: Peer,
    },
    /// A peer already redirects the pods, from a configuration that this program does not edit.
    #[error(
        "`{path}` names {peer} in a list of another plugin, and two plugins must not redirect the \
         same pod"
    )]
    PeerNested {
        /// The configuration.
        path: PathBuf,
        /// The peer.
        peer: Peer,
    },
    /// A peer is to be replaced, but its pods are not served.
    #[error("replacing {peer} would leave its pods without redirection: no profile serves them")]
    PeerNotServed {
        /// The peer.
        peer: Peer,
    },
    /// Pods request the peer's network by a name which ours does not have.
    #[error("`{path}` defines network `{network}`, which pods request by this name")]
    PeerNetwork {
        /// The peer's configuration.
        path: PathBuf,
        /// The network's name.
        network: String,
    },
    /// Linkerd CNI is set to redirect nothing.
    #[error("field `linkerd.simulate` of linkerd-cni in `{path}` is true, so it redirects no pod")]
    PeerSimulates {
        /// The file with its entry.
        path: PathBuf,
    },
    /// Istio CNI is to be replaced, and its pods in ambient mode are not served.
    #[error("istio-cni in `{path}` is for pods in ambient mode too, which no profile serves")]
    PeerServesAmbient {
        /// The file with its entry.
        path: PathBuf,
    },
    /// Istio CNI is to be replaced, and other pods are in ambient mode than with our entry.
    #[error("field `enablement_selectors` of istio-cni in `{path}` differs from ours")]
    PeerSelectsOthers {
        /// The file with its entry.
        path: PathBuf,
    },
    /// A setting of a replaced entry is invalid in ours.
    #[error("cannot carry over the settings of {peer} in `{path}`")]
    PeerSettings {
        /// The file with its entry.
        path: PathBuf,
        /// The peer.
        peer: Peer,
        /// What is wrong.
        source: ConfError,
    },
    /// Two replaced entries have different values of a setting.
    #[error("the replaced entries of `{path}` have different values of `{field}`")]
    PeersDisagree {
        /// The file with the entries.
        path: PathBuf,
        /// The field of our entry.
        field: String,
    },
    /// A kubeconfig is required, but no service account is mounted.
    #[error("cannot write a kubeconfig: there is no service account token and CA certificate")]
    NoAccount,
}

impl Refusal {
    pub(crate) fn unreadable(paths: &NodePaths, conf: &UnreadableConf) -> Self {
        Self::UnreadableConf {
            path: paths.conf(&conf.name),
            why: conf.why.clone(),
        }
    }

    /// What the operator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Peer { peer, .. } => match peer {
                Peer::IstioCni => {
                    "uninstall Istio CNI first, or replace it with --replace-istio-cni"
                }
                Peer::LinkerdCni => {
                    "uninstall Linkerd CNI first, or replace it with --replace linkerd-cni"
                }
                Peer::KumaCni => "uninstall Kuma CNI first, or replace it with --replace kuma-cni",
            },
            Self::PeerNotReplaceable { peer, .. } => match peer {
                Peer::IstioCni => {
                    "uninstall Istio CNI first, or use --mode chained with --replace-istio-cni"
                }
                Peer::LinkerdCni => {
                    "uninstall Linkerd CNI first, or use --mode chained with --replace linkerd-cni"
                }
                Peer::KumaCni => {
                    "uninstall Kuma CNI first, or use --mode chained with --replace kuma-cni"
                }
            },
            Self::PeerNested { .. } => {
                "uninstall that plugin first; then restart Multus, or the program that wrote the file"
            }
            Self::PeerNotServed { .. } | Self::PeerServesAmbient { .. } => {
                "add the missing mesh to --profile, or do not replace the plugin"
            }
            Self::PeerNetwork { .. } => "set --network-name to that name",
            Self::NoPluginBinary { .. } => {
                "set the path of the mesh-cni binary with --plugin-binary"
            }
            Self::NoBinDir { .. } => "set the runtime's CNI binary directory with --cni-bin-dir",
            Self::NoConfDir { .. } => {
                "set the runtime's CNI configuration directory with --cni-conf-dir, or wait for the \
                 cluster's network plugin with --wait"
            }
            Self::NoConf { .. } | Self::NoSuchConf { .. } | Self::OnlyLoopback { .. } => {
                "install the cluster's network plugin first, or wait for it with --wait"
            }
            Self::InvalidConf { .. } | Self::UnreadableConf { .. } => {
                "fix or remove the file, because runtimes do not load it either; if the network plugin \
                 is still writing it, wait with --wait"
            }
            Self::TooDeep { .. } => "remove the deeply nested value from the file",
            Self::Nameless { .. } => {
                "set `name` in the file, because containerd starts no pod without a network name"
            }
            Self::PluginsInDirectory { .. } => "use --mode drop-in",
            Self::NothingToChain { .. } => {
                "install the cluster's network plugin first: mesh-cni cannot be the only plugin of a list"
            }
            Self::ListExists { .. } => {
                "remove or rename the list: runtimes load the other file, which sorts before it"
            }
            Self::NotOurs { .. } => {
                "choose a file name that does not exist: with --cni-conf-name in mode stand-alone, with \
                 --owned-cni-config-filename in mode owned-first"
            }
            Self::NotFirst { .. } => {
                "set a name that sorts before every other file with --owned-cni-config-filename"
            }
            Self::CopyBesideMultus { .. } => {
                "use --mode chained; or, if Multus's file is 00-multus.conflist, set \
                 --owned-cni-config-filename 00-multus.conf-mesh-cni.conflist, a name that Multus does not \
                 take for its default network"
            }
            Self::DropInsUnsupported { .. } => "use --mode chained or --mode owned-first",
            Self::PeerSimulates { .. } => "set the field to false, or uninstall Linkerd CNI first",
            Self::PeerSettings { .. } => {
                "correct the value in that entry, or set the field for mesh-cni, which overrides it"
            }
            Self::PeersDisagree { .. } | Self::PeerSelectsOthers { .. } => {
                "set the field for mesh-cni, with its flag or in the --conf-entry file"
            }
            Self::NoAccount => {
                "mount the service account's token, or set its directory with --service-account-dir"
            }
        }
    }

    /// Whether starting the cluster's network plugin can resolve it.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoConfDir { .. }
                | Self::NoConf { .. }
                | Self::NoSuchConf { .. }
                | Self::InvalidConf { .. }
                | Self::UnreadableConf { .. }
                | Self::Nameless { .. }
                | Self::OnlyLoopback { .. }
                | Self::PluginsInDirectory { .. }
        )
    }
}
