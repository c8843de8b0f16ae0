//! What a node's disk holds, as far as it matters here.

use std::path::PathBuf;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{ConfList, ConfListError};
use serde_json::Value;

use crate::{Account, ConfKind, ConfName, Secret};

/// The field by which a list of ours says that it is a copy, and of which file. Runtimes pass over
/// fields of a list that they do not know.
pub(crate) const COPY_OF: &str = "mesh-cni/copy-of";

/// What a node's disk holds. The default is a node with both directories and nothing in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The directory of plugin binaries.
    pub bin_dir: Directory,
    /// The plugin's binary.
    pub binary: Binary,
    /// The directory of network configurations.
    pub conf_dir: Directory,
    /// Every file there that the runtime would take, in its order.
    pub confs: Vec<ConfFile>,
    /// Files that an install has set aside, under the names that they had.
    pub saved: Vec<ConfFile>,
    /// Directories of networks that hold our plugin, or nothing.
    pub drop_ins: Vec<DropIn>,
    /// Half-written files of an install or uninstall that was killed.
    pub leftovers: Vec<PathBuf>,
    /// Is the plugin of Istio CNI in the directory of plugin binaries?
    pub istio_binary: bool,
    /// The kubeconfig that an install has written.
    pub kubeconfig: Option<Kubeconfig>,
    /// What else of ours is in the run directory: socket and log.
    pub run_files: Vec<PathBuf>,
    /// The agent's account with the API server, where a kubeconfig is asked for.
    pub account: Option<Account>,
    /// The sandboxes that were made with the plugin and are still there.
    pub sandboxes: Sandboxes,
}

/// The directory of a network, whose files newer runtimes append to its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// The network.
    pub network: String,
    /// Our plugin in it.
    pub text: Option<String>,
    /// Are there files of others?
    pub shared: bool,
}

/// Which sandboxes were made with the plugin and are still there, as the runtime's cache tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandboxes {
    /// There is no cache to read.
    #[default]
    Unknown,
    /// So many.
    Counted(usize),
}

/// The kubeconfig on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Its permissions, `0o600` if they are as they should be.
    pub mode: u32,
    /// Its content.
    pub text: Secret,
}

/// Is a directory there?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directory {
    /// It is.
    #[default]
    Present,
    /// It is not.
    Missing,
}

/// The plugin's binary on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binary {
    /// There is none.
    #[default]
    Missing,
    /// There is one with another content than the agent's own.
    Differs,
    /// There is one with the right content and permissions other than 0755.
    Mode(u32),
    /// It is as it should be.
    Ready,
}

/// A network configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFile {
    /// Its name.
    pub name: ConfName,
    /// Its content.
    pub text: String,
}

impl ConfFile {
    /// The content as a list, whichever kind of file it is.
    pub(crate) fn list(&self) -> Result<ConfList, ConfListError> {
        match self.name.kind() {
            ConfKind::List => ConfList::parse(&self.text),
            ConfKind::Single => ConfList::from_conf(&self.text),
        }
    }

    /// Is this a copy of another list, written by us? Nobody else's file carries the mark.
    pub(crate) fn is_copy(&self) -> bool {
        self.list().is_ok_and(|list| list.field(COPY_OF).is_some())
    }

    /// Does it name the plugin?
    pub(crate) fn names_us(&self) -> bool {
        self.list().is_ok_and(|list| list.contains(PLUGIN_TYPE))
    }

    /// Is this list, apart from its white space, what the file's content would be as a list?
    pub(crate) fn says(&self, list: &ConfList) -> bool {
        self.list().is_ok_and(|own| same(&own, list))
    }
}

impl Found {
    pub(crate) fn conf(&self, name: &ConfName) -> Option<&ConfFile> {
        self.confs.iter().find(|conf| conf.name == *name)
    }

    pub(crate) fn drop_in(&self, network: &str) -> Option<&str> {
        let mut networks = self.drop_ins.iter();
        let found = networks.find(|directory| directory.network == network)?;
        found.text.as_deref()
    }

    pub(crate) fn saved(&self, name: &ConfName) -> Option<&ConfFile> {
        self.saved.iter().find(|saved| saved.name == *name)
    }
}

/// Do two lists say the same, apart from the white space and the order of keys?
pub(crate) fn same(one: &ConfList, other: &ConfList) -> bool {
    document(one) == document(other)
}

fn document(list: &ConfList) -> Value {
    serde_json::from_str(&list.to_text()).expect("a list is written as JSON")
}
