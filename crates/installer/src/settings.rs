//! What an operator asks of the node.

use std::path::PathBuf;
use std::time::Duration;

use mesh_cni_plan::PLUGIN_TYPE;

use crate::{ApiServer, ConfName, Entry};

/// What our plugin is called in the directory of a network: runtimes read `.conf` there.
pub(crate) const DROP_IN: &str = "99-mesh-cni.conf";

/// What the kubeconfig is called in the run directory.
pub const KUBECONFIG: &str = "kubeconfig";

/// Where the container runtime of this node looks, and where the agent keeps its things, as the
/// agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePaths {
    /// The directory of plugin binaries.
    pub bin_dir: PathBuf,
    /// The directory of network configurations.
    pub conf_dir: PathBuf,
    /// The directory of the agent's socket, the plugin's log and, where one is written, the
    /// kubeconfig.
    pub run_dir: PathBuf,
    /// The runtime's CNI cache, which tells what the sandboxes of this node were made with.
    pub cache_dir: PathBuf,
}

/// What is to be installed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where the runtime looks.
    pub paths: NodePaths,
    /// The plugin binary that is copied to the node.
    pub plugin_binary: PathBuf,
    /// The network configuration to work on; by default the one that the runtime takes, which is
    /// the first in the order of names.
    pub conf_name: Option<ConfName>,
    /// How the plugin comes to be called.
    pub chaining: Chaining,
    /// The file of our own that [`Chaining::OwnedFirst`] writes.
    pub owned_name: ConfName,
    /// The plugin's own configuration.
    pub entry: Entry,
    /// Whether Istio CNI's entry, where there is one, is replaced by ours; otherwise it is a reason
    /// to refuse.
    pub replace_istio_cni: bool,
    /// The API server that a kubeconfig is written for. Without it, none is written, and one of
    /// ours that is there goes.
    pub api_server: Option<ApiServer>,
    /// Where the token and the certificates of the agent's account are mounted.
    pub account_dir: PathBuf,
}

/// How the plugin comes to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chaining {
    /// As the last plugin of the network's own list.
    Chained,
    /// From a file of its own, for meta-plugins such as Multus that attach networks one by one.
    StandAlone,
    /// As the last plugin of a copy of the network's own list, which goes before it in the order of
    /// names and is kept in step with it. The network's own file is never touched, and pods are
    /// redirected even while it is rewritten or gone.
    OwnedFirst,
    /// From the directory of the network, whose files newer runtimes append to the list. The
    /// network's own file is never touched.
    DropIn,
}

/// How the node is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What becomes of the binary.
    pub binary: BinaryFate,
    /// How long the runtime is given to load the edited list before the binary goes.
    pub grace: Duration,
    /// Whether the entry of Istio CNI that an install has replaced comes back.
    pub restore_istio_cni: bool,
}

/// What becomes of the plugin's binary when its entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryFate {
    /// It goes too.
    Remove,
    /// It stays while a sandbox that was made with it is there, or may be. A runtime such as CRI-O
    /// tears a sandbox down with the list it was made with, and needs the binary for it; its DEL
    /// does nothing.
    WhenUnused,
    /// It stays.
    Keep,
}

impl Default for Leaving {
    fn default() -> Self {
        Self {
            binary: BinaryFate::WhenUnused,
            grace: Duration::from_secs(2),
            restore_istio_cni: false,
        }
    }
}

impl NodePaths {
    /// Where the plugin's binary is.
    pub fn binary(&self) -> PathBuf {
        self.bin_dir.join(PLUGIN_TYPE)
    }

    /// Where a network configuration is.
    pub fn conf(&self, name: &ConfName) -> PathBuf {
        self.conf_dir.join(name.as_str())
    }

    /// Where a network configuration is while it is set aside.
    pub fn saved(&self, name: &ConfName) -> PathBuf {
        self.conf_dir.join(name.saved())
    }

    /// The directory of plugins that newer runtimes append to the list of this network.
    pub fn drop_in_dir(&self, network: &str) -> PathBuf {
        self.conf_dir.join(network)
    }

    /// Where our plugin of that directory is.
    pub fn drop_in(&self, network: &str) -> PathBuf {
        self.drop_in_dir(network).join(DROP_IN)
    }

    /// Where the kubeconfig is, if one is written.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run_dir.join(KUBECONFIG)
    }
}

impl Default for NodePaths {
    /// The directories of the CNI specification's convention.
    fn default() -> Self {
        Self {
            bin_dir: PathBuf::from("/opt/cni/bin"),
            conf_dir: PathBuf::from("/etc/cni/net.d"),
            run_dir: PathBuf::from("/run/mesh-cni"),
            cache_dir: PathBuf::from("/var/lib/cni"),
        }
    }
}

impl Settings {
    /// Chained into the runtime's own choice of list, with the binary of the working directory.
    pub fn new(paths: NodePaths, entry: Entry) -> Self {
        Self {
            paths,
            plugin_binary: PathBuf::from(PLUGIN_TYPE),
            conf_name: None,
            chaining: Chaining::Chained,
            owned_name: ConfName::new("02-mesh-cni.conflist").expect("it ends in .conflist"),
            entry,
            replace_istio_cni: false,
            api_server: None,
            account_dir: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        }
    }

    /// The file of our own that is written where the plugin is not chained.
    pub(crate) fn own_conf(&self) -> ConfName {
        let default = || ConfName::new("YYY-mesh-cni.conflist").expect("it ends in .conflist");
        self.conf_name
            .as_ref()
            .map_or_else(default, ConfName::as_list)
    }
}
