//! Paths and options of install and uninstall.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_plan::{PLUGIN_TYPE, UNINSTALLED_MARK};

use crate::host_root::resolve;
use crate::{ApiServer, ConfName, Entry, Peer};

/// Name of our file in the directory of a network, where runtimes read `.conf` files.
pub(crate) const DROP_IN: &str = "99-mesh-cni.conf";

/// Name of the kubeconfig in the run directory.
pub const KUBECONFIG: &str = "kubeconfig";

/// Directories of the container runtime and of the agent, as this process sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePaths {
    /// The directory of plugin binaries.
    pub bin_dir: PathBuf,
    /// The directory of network configurations.
    pub conf_dir: PathBuf,
    /// The directory of the agent's socket, the plugin's log and the kubeconfig.
    pub run_dir: PathBuf,
    /// The runtime's CNI cache, which records the list of each sandbox.
    pub cache_dir: PathBuf,
    /// Where the host's root is mounted. Links in directories below it are followed as on the host.
    pub host_root: PathBuf,
}

/// Options of an installation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Directories on the node.
    pub paths: NodePaths,
    /// The plugin binary to copy to the node.
    pub plugin_binary: PathBuf,
    /// The network configuration to edit. Default: the one that the runtime loads, the first by
    /// name.
    pub conf_name: Option<ConfName>,
    /// How the runtime calls the plugin.
    pub chaining: Chaining,
    /// The file that [`Chaining::OwnedFirst`] writes.
    pub owned_name: ConfName,
    /// The name of the network that [`Chaining::StandAlone`] defines. Pods request it by this name.
    pub network_name: String,
    /// The plugin's own configuration.
    pub entry: Entry,
    /// The peers whose entries are replaced. An entry of another peer that redirects the same pods is a
    /// [`crate::Refusal`].
    pub replace: BTreeSet<Peer>,
    /// The API server to write a kubeconfig for. `None` removes an existing kubeconfig.
    pub api_server: Option<ApiServer>,
    /// Where the agent's service account token and CA certificate are mounted.
    pub account_dir: PathBuf,
}

/// How the runtime calls the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chaining {
    /// As the last plugin of the network's own list.
    Chained,
    /// From a separate network, for meta-plugins such as Multus that attach networks one by one.
    StandAlone,
    /// As the last plugin of a copy of the network's list that sorts before it and is kept up to
    /// date. The network's own file is never changed, and pods are redirected even while it is
    /// rewritten or missing.
    OwnedFirst,
    /// From a file in the network's directory, which newer runtimes append to the list. The
    /// network's own file is never changed.
    DropIn,
}

/// Options of an uninstallation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UninstallOptions {
    /// Whether to remove the binary.
    pub binary: BinaryRemoval,
    /// How long to wait for the runtime to load the edited list before removing the binary.
    pub grace: Duration,
    /// The peers whose entries are restored if an install replaced them.
    pub restore: BTreeSet<Peer>,
}

/// Whether to remove the plugin's binary with its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryRemoval {
    /// Remove it, unless a network configuration names it.
    Always,
    /// Keep it while there may be a sandbox that was created with it, or a network configuration names
    /// it. Runtimes such as CRI-O remove
    /// a sandbox with the list that it was created with, which needs the binary for DEL.
    WhenUnused,
    /// Keep it.
    Never,
}

impl Default for UninstallOptions {
    fn default() -> Self {
        Self {
            binary: BinaryRemoval::WhenUnused,
            grace: Duration::from_secs(2),
            restore: BTreeSet::new(),
        }
    }
}

impl NodePaths {
    /// The directories after following their links as on the host. A link may change while an agent runs.
    #[must_use]
    pub fn in_host_root(&self) -> Self {
        let root = &self.host_root;
        let resolved = |path: &PathBuf| match path.strip_prefix(root) {
            Ok(on_host) if root != Path::new("/") => resolve(root, on_host),
            _ => path.clone(),
        };
        Self {
            bin_dir: resolved(&self.bin_dir),
            conf_dir: resolved(&self.conf_dir),
            run_dir: resolved(&self.run_dir),
            cache_dir: resolved(&self.cache_dir),
            host_root: root.clone(),
        }
    }

    /// Path of the plugin's binary.
    pub fn binary(&self) -> PathBuf {
        self.bin_dir.join(PLUGIN_TYPE)
    }

    /// The file that makes a binary without an installation pass everything through.
    pub fn uninstalled_mark(&self) -> PathBuf {
        self.bin_dir.join(UNINSTALLED_MARK)
    }

    /// Path of a network configuration.
    pub fn conf(&self, name: &ConfName) -> PathBuf {
        self.conf_dir.join(name.as_str())
    }

    /// Path of a network configuration that an install renamed.
    pub fn saved(&self, name: &ConfName) -> PathBuf {
        self.conf_dir.join(name.saved())
    }

    /// Directory of files that newer runtimes append to the list of this network.
    pub fn drop_in_dir(&self, network: &str) -> PathBuf {
        self.conf_dir.join(network)
    }

    /// Path of our file in that directory.
    pub fn drop_in(&self, network: &str) -> PathBuf {
        self.drop_in_dir(network).join(DROP_IN)
    }

    /// Path of the kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run_dir.join(KUBECONFIG)
    }
}

impl Default for NodePaths {
    /// The usual CNI directories.
    fn default() -> Self {
        Self {
            bin_dir: PathBuf::from("/opt/cni/bin"),
            conf_dir: PathBuf::from("/etc/cni/net.d"),
            run_dir: PathBuf::from("/run/mesh-cni"),
            cache_dir: PathBuf::from("/var/lib/cni"),
            host_root: PathBuf::from("/"),
        }
    }
}

impl Settings {
    /// Chained into the list that the runtime loads; the binary is in the working directory.
    pub fn new(paths: NodePaths, entry: Entry) -> Self {
        Self {
            paths,
            plugin_binary: PathBuf::from(PLUGIN_TYPE),
            conf_name: None,
            chaining: Chaining::Chained,
            owned_name: ConfName::new("02-mesh-cni.conflist").expect("it ends in .conflist"),
            entry,
            replace: BTreeSet::new(),
            network_name: PLUGIN_TYPE.to_owned(),
            api_server: None,
            account_dir: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        }
    }

    /// The settings with [`NodePaths::in_host_root`].
    pub(crate) fn in_host_root(&self) -> Self {
        Self {
            paths: self.paths.in_host_root(),
            ..self.clone()
        }
    }

    /// The file of [`Chaining::StandAlone`].
    pub(crate) fn own_conf(&self) -> ConfName {
        let default = || ConfName::new("YYY-mesh-cni.conflist").expect("it ends in .conflist");
        self.conf_name
            .as_ref()
            .map_or_else(default, ConfName::as_list)
    }
}
