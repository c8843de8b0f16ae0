//! What an operator asks of the node.

use std::path::PathBuf;
use std::time::Duration;

use mesh_cni_plan::PLUGIN_TYPE;

use crate::{ConfName, Entry};

/// Where the container runtime of this node looks, as the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePaths {
    /// The directory of plugin binaries.
    pub bin_dir: PathBuf,
    /// The directory of network configurations.
    pub conf_dir: PathBuf,
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
    /// Whether the plugin is called after others or by itself.
    pub chaining: Chaining,
    /// The plugin's own configuration.
    pub entry: Entry,
}

/// Whether the plugin is called after others or by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chaining {
    /// As the last plugin of the network's own list.
    Chained,
    /// From a file of its own, for meta-plugins such as Multus that attach networks one by one.
    StandAlone,
}

/// How the node is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What becomes of the binary.
    pub binary: BinaryFate,
    /// How long the runtime is given to load the edited list before the binary goes.
    pub grace: Duration,
}

/// What becomes of the plugin's binary when its entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryFate {
    /// It goes too.
    Remove,
    /// It stays, for runtimes that tear a sandbox down with the list it was made with.
    Keep,
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
}

impl Default for NodePaths {
    /// The directories of the CNI specification's convention.
    fn default() -> Self {
        Self {
            bin_dir: PathBuf::from("/opt/cni/bin"),
            conf_dir: PathBuf::from("/etc/cni/net.d"),
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
            entry,
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
