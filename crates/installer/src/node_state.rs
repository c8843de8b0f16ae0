//! The files of a node that an installation depends on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{ConfList, ConfListError, plugin_type};
use serde_json::Value;

use crate::nested::mentions_us;
use crate::{Account, ConfKind, ConfName, Peer, Secret};

/// The field that marks a list as our copy and names the original file. Runtimes ignore unknown
/// fields of a list.
pub(crate) const COPY_OF: &str = "mesh-cni/copy-of";

/// The plugin of the interface `lo`.
pub(crate) const LOOPBACK: &str = "loopback";

/// The files of a node. The default is a node with both CNI directories, both empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// The directory of plugin binaries.
    pub bin_dir: DirectoryState,
    /// The plugin's binary.
    pub binary: Binary,
    /// Whether an uninstallation left the binary for others ([`crate::NodePaths::uninstalled_mark`]).
    pub uninstalled: bool,
    /// The directory of network configurations.
    pub conf_dir: DirectoryState,
    /// Every file with the name of a network configuration, in the runtime's order.
    pub confs: Vec<ConfFile>,
    /// Files with the name of a network configuration that cannot be read.
    pub unreadable: Vec<UnreadableConf>,
    /// Configuration files that an install renamed, under their original names.
    pub saved: Vec<ConfFile>,
    /// Network directories that contain our plugin, or nothing.
    pub drop_ins: Vec<DropIn>,
    /// Files that newer runtimes would append to a list, but cannot load.
    pub broken_drop_ins: Vec<BrokenDropIn>,
    /// Temporary files of an interrupted run.
    pub leftovers: Vec<PathBuf>,
    /// The peers whose binary is in the directory of plugin binaries.
    pub peer_binaries: BTreeSet<Peer>,
    /// The peers whose kubeconfig is in the directory of network configurations.
    pub peer_kubeconfigs: BTreeSet<Peer>,
    /// The kubeconfig that an install wrote.
    pub kubeconfig: Option<Kubeconfig>,
    /// Our other files in the run directory: socket and log.
    pub run_files: Vec<PathBuf>,
    /// The agent's service account, if a kubeconfig is required.
    pub account: Option<Account>,
    /// Existing sandboxes that were created with the plugin.
    pub sandboxes: Sandboxes,
    /// The names of the files in the directory of plugin binaries; `None` if they are not known.
    pub binaries: Option<BTreeSet<String>>,
    /// The network of the newest pod, if no configuration was changed after the runtime attached it.
    pub used_network: Option<String>,
}

/// The directory of a network, whose files newer runtimes append to the network's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// The network's name.
    pub network: String,
    /// Content of our file in the directory.
    pub text: Option<Vec<u8>>,
    /// Whether others need the directory: it contains other files, or it is a link.
    pub shared: bool,
}

/// A file in a network's directory that a runtime cannot append, or such a directory that cannot be
/// listed. Newer runtimes do not load the network's list then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenDropIn {
    /// The network's name.
    pub network: String,
    /// The file or directory.
    pub path: PathBuf,
    /// Why a runtime cannot load it.
    pub why: String,
}

/// Existing sandboxes that were created with the plugin, according to the runtime's CNI cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandboxes {
    /// There is no readable cache.
    #[default]
    Unknown,
    /// Their number.
    Counted(usize),
}

/// The kubeconfig on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Permission bits; `0o600` is correct.
    pub mode: u32,
    /// Content.
    pub text: Secret,
}

/// Whether a directory exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryState {
    /// It exists.
    #[default]
    Present,
    /// It does not exist.
    Missing,
}

/// The plugin's binary on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binary {
    /// It does not exist.
    #[default]
    Missing,
    /// Its content differs from the agent's plugin binary.
    Differs,
    /// Its content is correct, but its mode is this one instead of 0755.
    Mode(u32),
    /// Content and mode are correct.
    Ready,
}

/// A network configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFile {
    /// File name.
    pub name: ConfName,
    /// Content, which may not be UTF-8.
    pub text: Vec<u8>,
}

/// A file with the name of a network configuration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableConf {
    /// File name.
    pub name: ConfName,
    /// Why it cannot be read.
    pub why: String,
}

impl ConfFile {
    /// The content as a list, for both kinds of file. Fails if a runtime would not load it.
    pub(crate) fn list(&self) -> Result<ConfList, ConfListError> {
        match self.name.kind() {
            ConfKind::List => ConfList::parse(&self.text),
            ConfKind::Single => ConfList::from_conf(&self.text),
        }
    }

    /// Whether runtimes load it, although this program cannot.
    pub(crate) fn is_too_deep(&self) -> bool {
        matches!(self.list(), Err(ConfListError::TooDeep))
    }

    /// Whether this is our copy of another list.
    pub(crate) fn is_copy(&self) -> bool {
        self.list().is_ok_and(|list| list.field(COPY_OF).is_some())
    }

    /// Whether it has an entry of the plugin.
    pub(crate) fn has_entry(&self) -> bool {
        self.has(PLUGIN_TYPE)
    }

    /// Whether its text contains the plugin's type.
    pub(crate) fn mentions_us(&self) -> bool {
        mentions_us(&self.text)
    }

    /// Whether it has a plugin of this type.
    pub(crate) fn has(&self, plugin_type: &str) -> bool {
        self.list().is_ok_and(|list| list.contains(plugin_type))
    }

    /// Whether its list equals `list`, ignoring white space and the order of keys.
    pub(crate) fn equals(&self, list: &ConfList) -> bool {
        self.list().is_ok_and(|own| own.has_same_values(list))
    }
}

impl NodeState {
    pub(crate) fn conf(&self, name: &ConfName) -> Option<&ConfFile> {
        self.confs.iter().find(|conf| conf.name == *name)
    }

    pub(crate) fn drop_in(&self, network: &str) -> Option<&[u8]> {
        self.drop_ins
            .iter()
            .find(|directory| directory.network == network)?
            .text
            .as_deref()
    }

    pub(crate) fn saved(&self, name: &ConfName) -> Option<&ConfFile> {
        self.saved.iter().find(|saved| saved.name == *name)
    }
}

/// Whether the list is not the network of the cluster's pods: its only plugin is `loopback`, or ours in
/// mode stand-alone.
pub(crate) fn is_no_pod_network(list: &ConfList) -> bool {
    let is_loopback = |plugin: &Value| plugin_type(plugin) == Some(LOOPBACK);
    let mut others = list.plugins().iter().filter(|plugin| !is_ours(plugin));
    is_own(list) || (list.contains(LOOPBACK) && others.all(is_loopback))
}

/// Whether this is a network with the plugin only.
pub(crate) fn is_own(list: &ConfList) -> bool {
    !list.plugins().is_empty() && list.plugins().iter().all(is_stand_alone)
}

/// Whether this is the plugin's entry.
pub(crate) fn is_ours(plugin: &Value) -> bool {
    plugin_type(plugin) == Some(PLUGIN_TYPE)
}

/// Whether this is the plugin's entry in a network of its own.
pub(crate) fn is_stand_alone(plugin: &Value) -> bool {
    is_ours(plugin) && plugin.get("standalone") == Some(&Value::Bool(true))
}
