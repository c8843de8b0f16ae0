//! Assesses a node: installed, not installed, or partly, and why.

mod nested;

use std::fmt;
use std::path::{Path, PathBuf};

use mesh_cni_plan::{MeshConf, PLUGIN_TYPE};
use mesh_cni_spec::ConfList;
use serde_json::{Map, Value};

use crate::install::{choose_conf, ignored, loading};
use crate::nested::nested_entries;
use crate::node_state::{COPY_OF, is_ours, is_own, is_stand_alone};
use crate::{
    Binary, ConfFile, ConfName, NestedEntry, NodePaths, NodeState, Note, Peer, Refusal, error_chain,
};
use nested::{is_called_by_another, stale_network};

/// The state of the plugin on a node, and its problems.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Overall state.
    pub installation: Installation,
    /// The configuration that has our entry, or should have it.
    pub conf: Option<PathBuf>,
    /// The entry that the runtime passes to the plugin.
    pub entry: Option<Map<String, Value>>,
    /// Why the plugin is not called or does not work; empty if it is installed.
    pub problems: Vec<Problem>,
    /// Entries in the configurations of other plugins, which call the plugin too.
    pub nested: Vec<NestedEntry>,
    /// Files that runtimes do not load.
    pub notes: Vec<Note>,
}

/// Whether the plugin is installed on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installation {
    /// Binary and entry are in place.
    Installed,
    /// Both are missing.
    NotInstalled,
    /// One of them is missing or incorrect.
    Partly,
}

/// Why the plugin is not called or does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The binary is missing.
    #[error("{0} is missing")]
    BinaryMissing(PathBuf),
    /// The binary's content differs from the agent's plugin binary.
    #[error("{0} differs from this agent's plugin")]
    BinaryDiffers(PathBuf),
    /// The binary's mode is not 0755.
    #[error("{0} has mode {1:04o} instead of 0755")]
    BinaryMode(PathBuf, u32),
    /// There is no network configuration.
    #[error("{0}")]
    ConfMissing(String),
    /// The configuration that the runtime loads is invalid.
    #[error("{0} cannot be loaded: {1}")]
    ConfUnreadable(PathBuf, String),
    /// The configuration that the runtime loads is nested too deeply to look for an entry.
    #[error("{0} is nested deeper than mesh-cni reads, although runtimes load it")]
    ConfTooDeep(PathBuf),
    /// The configuration that the runtime loads has no entry.
    #[error("{0} has no mesh-cni entry")]
    EntryMissing(PathBuf),
    /// The runtime calls another plugin, whose copy of the network has no entry.
    #[error(
        "not redirecting: {conf} has a copy of network `{network}` without mesh-cni; restart Multus, or the \
         program that wrote the file"
    )]
    StaleNetwork {
        /// The configuration that the runtime loads.
        conf: PathBuf,
        /// The network's name.
        network: String,
    },
    /// An uninstallation left the binary, which passes every pod through.
    #[error("not redirecting: while {0} exists, mesh-cni passes every pod through")]
    Uninstalled(PathBuf),
    /// It has more than one entry.
    #[error("{0} has more than one mesh-cni entry")]
    EntryTwice(PathBuf),
    /// The entry is the first plugin, so there is nothing to chain to.
    #[error("{0} has the mesh-cni entry before every other plugin")]
    EntryFirst(PathBuf),
    /// There is an entry in the list and a file in the network's directory.
    #[error("{0} has a mesh-cni entry, and {1} appends another one")]
    EntryAndDropIn(PathBuf, PathBuf),
    /// The copy differs from the network's list.
    #[error("{0} is out of date: it differs from {1}")]
    CopyStale(PathBuf, PathBuf),
    /// The runtime attached the newest pod to another network.
    #[error("the runtime attached the newest pod to network `{used}`, not to `{network}` of {}", .path.display())]
    ListUnused {
        /// The list.
        path: PathBuf,
        /// The list's network.
        network: String,
        /// The network of the pod.
        used: String,
    },
    /// A file that newer runtimes append to the list cannot be loaded, so neither is the list.
    #[error(
        "runtimes with libcni 1.3 or newer do not load {list}, because they cannot load {path}: {why}"
    )]
    DropInBroken {
        /// The list.
        list: PathBuf,
        /// The file, or the network's directory.
        path: PathBuf,
        /// Why a runtime cannot load it.
        why: String,
    },
    /// A peer also redirects the pods.
    #[error("{0} names {1}, which redirects the same pods")]
    Peer(PathBuf, Peer),
    /// The plugin would reject the entry.
    #[error("{0} has an entry that mesh-cni rejects: {1}")]
    EntryRefused(PathBuf, String),
}

/// Assesses a node. `requested` is the configuration that should have the entry; default: the one that
/// the runtime loads.
pub fn assess(paths: &NodePaths, requested: Option<&ConfName>, state: &NodeState) -> NodeStatus {
    let mut problems = Vec::from_iter(binary_problem(paths, state));
    let mark = state.uninstalled.then(|| paths.uninstalled_mark());
    problems.extend(mark.map(Problem::Uninstalled));
    let conf = entry_conf(paths, requested, state);
    match &conf {
        Err(refusal) => problems.push(Problem::from_refusal(refusal)),
        Ok(conf) => {
            problems.extend(entry_problems(paths, state, conf));
            let signs = loading::signs(paths, requested, state);
            problems.extend(signs.into_iter().filter_map(Problem::from_sign));
        }
    }
    if let Some(stale) = stale_network(paths, state) {
        problems.retain(|problem| !matches!(problem, Problem::EntryMissing(_)));
        problems.push(stale);
    }
    let own = own_conf(state).map(|conf| conf.name.clone());
    let nested = nested_entries(paths, state);
    let named = !nested.is_empty() || state.confs.iter().any(|conf| has_entry(state, conf));
    let installation = if problems.is_empty() {
        Installation::Installed
    } else if state.binary == Binary::Missing && !named {
        Installation::NotInstalled
    } else {
        Installation::Partly
    };
    NodeStatus {
        installation,
        entry: conf.as_ref().ok().and_then(|conf| entry(state, conf)),
        notes: conf
            .as_ref()
            .map_or(Vec::new(), |_| ignored(paths, state, own.as_ref())),
        conf: conf.ok().map(|conf| paths.conf(&conf.name)),
        problems,
        nested,
    }
}

impl Problem {
    /// What the operator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::BinaryMissing(_) | Self::BinaryDiffers(_) | Self::BinaryMode(..) => {
                "let the agent of this node install its plugin, or run `mesh-cni-agent install`; if the \
                 runtime looks for plugins in another directory, set --cni-bin-dir"
            }
            Self::ConfMissing(_) => {
                "install the cluster's network plugin first; if the runtime looks for network \
                 configurations in another directory, set --cni-conf-dir"
            }
            Self::ConfUnreadable(..) => {
                "fix or remove the file, because runtimes do not load it either"
            }
            Self::EntryMissing(_) => {
                "let the agent of this node install the entry, or run `mesh-cni-agent install`"
            }
            Self::StaleNetwork { .. } => "restart Multus, or the program that wrote the file",
            Self::Uninstalled(_) => {
                "run `mesh-cni-agent install` to use the plugin again; otherwise remove it from the \
                 configuration that still names it"
            }
            Self::EntryTwice(_) | Self::EntryAndDropIn(..) => {
                "run `mesh-cni-agent install`, which leaves one entry"
            }
            Self::EntryFirst(_) => {
                "put the entry after the cluster's network plugin, as `mesh-cni-agent install` does"
            }
            Self::CopyStale(..) => "run `mesh-cni-agent install`, which writes the copy again",
            Self::ListUnused { .. } => {
                "select the file of the network that the runtime uses with --cni-conf-name"
            }
            Self::ConfTooDeep(_) => "remove the deeply nested value from the file",
            Self::DropInBroken { .. } => "fix or remove the file in the network's directory",
            Self::Peer(..) => {
                "uninstall that plugin, or replace its entry with `mesh-cni-agent install --replace` and its name"
            }
            Self::EntryRefused(..) => {
                "fix the field in the agent's flags or the chart's values, so that the agent writes the \
                 entry again"
            }
        }
    }

    /// Why no configuration can have the entry.
    fn from_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::InvalidConf { path, source } => {
                Self::ConfUnreadable(path.clone(), error_chain(source))
            }
            Refusal::UnreadableConf { path, why } => {
                Self::ConfUnreadable(path.clone(), why.clone())
            }
            Refusal::TooDeep { path } => Self::ConfTooDeep(path.clone()),
            other => Self::ConfMissing(other.to_string()),
        }
    }

    /// Why a runtime does not load the list, according to a sign.
    fn from_sign(sign: Note) -> Option<Self> {
        match sign {
            Note::ListUnused {
                path,
                network,
                used,
            } => Some(Self::ListUnused {
                path,
                network,
                used,
            }),
            Note::DropInBroken { list, path, why } => Some(Self::DropInBroken { list, path, why }),
            _ => None,
        }
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::NotInstalled => "not installed",
            Self::Partly => "partly installed",
        })
    }
}

fn binary_problem(paths: &NodePaths, state: &NodeState) -> Option<Problem> {
    let path = paths.binary();
    match state.binary {
        Binary::Ready => None,
        Binary::Missing => Some(Problem::BinaryMissing(path)),
        Binary::Differs => Some(Problem::BinaryDiffers(path)),
        Binary::Mode(mode) => Some(Problem::BinaryMode(path, mode)),
    }
}

/// The configuration that has our entry or should have it: our copy if the runtime loads it, else the
/// chosen one, unless only a network of our own has the entry.
fn entry_conf<'a>(
    paths: &NodePaths,
    requested: Option<&ConfName>,
    state: &'a NodeState,
) -> Result<&'a ConfFile, Refusal> {
    if let Some(copy) = state.confs.first().filter(|first| first.is_copy()) {
        return Ok(copy);
    }
    match (choose_conf(paths, requested, state), own_conf(state)) {
        (Ok(chosen), Some(own)) if requested.is_none() && !has_entry(state, chosen) => Ok(own),
        (Ok(chosen), _) => Ok(chosen),
        (Err(_), Some(own)) if requested.is_none() => Ok(own),
        (Err(refusal), _) => Err(refusal),
    }
}

/// Our own network.
fn own_conf(state: &NodeState) -> Option<&ConfFile> {
    let is_own = |conf: &&ConfFile| conf.list().is_ok_and(|list| is_own(&list));
    state.confs.iter().find(is_own)
}

/// Whether our entry is in the list, or in its network's directory.
fn has_entry(state: &NodeState, conf: &ConfFile) -> bool {
    let dropped_in = |list: ConfList| state.drop_in(list.name()).is_some();
    conf.has_entry() || conf.list().is_ok_and(dropped_in)
}

/// Our entry of the list, or the one that its network's directory appends.
fn entry(state: &NodeState, conf: &ConfFile) -> Option<Map<String, Value>> {
    let list = conf.list().ok()?;
    if let Some(text) = state.drop_in(list.name()) {
        return serde_json::from_slice(text).ok();
    }
    let mut plugins = list.plugins().iter();
    plugins.find(|plugin| is_ours(plugin))?.as_object().cloned()
}

fn entry_problems(paths: &NodePaths, state: &NodeState, conf: &ConfFile) -> Vec<Problem> {
    let path = paths.conf(&conf.name);
    let list = match conf.list() {
        Err(error) => return vec![Problem::ConfUnreadable(path, error_chain(&error))],
        Ok(list) => list,
    };
    let mut problems = Vec::new();
    let ours = entry(state, conf).and_then(|entry| MeshConf::decode(&entry).ok());
    let ours = ours.map_or_else(MeshConf::default, |decoded| decoded.conf);
    let mut peers = Peer::ALL.into_iter();
    let rival = peers.find(|peer| peer.is_rival_of(&ours) && peer.is_active_in(conf));
    problems.extend(rival.map(|peer| Problem::Peer(path.clone(), peer)));
    problems.extend(stale_copy(paths, state, conf, &list));
    match state.drop_in(list.name()) {
        None if is_called_by_another(state, conf) && !conf.has_entry() => {}
        None => problems.extend(inline_problems(&path, &list)),
        Some(text) => problems.extend(drop_in_problems(paths, &path, &list, text)),
    }
    problems
}

fn inline_problems(path: &Path, list: &ConfList) -> Vec<Problem> {
    let path = || path.to_owned();
    let mut ours = list.plugins().iter().filter(|plugin| is_ours(plugin));
    let Some(entry) = ours.next() else {
        return vec![Problem::EntryMissing(path())];
    };
    let mut problems = Vec::new();
    if ours.next().is_some() {
        problems.push(Problem::EntryTwice(path()));
    }
    if list.plugins().first() == Some(entry) && !is_stand_alone(entry) {
        problems.push(Problem::EntryFirst(path()));
    }
    problems.extend(refused(path(), entry));
    problems
}

fn drop_in_problems(paths: &NodePaths, conf: &Path, list: &ConfList, text: &[u8]) -> Vec<Problem> {
    let path = paths.drop_in(list.name());
    let mut problems = Vec::new();
    if list.contains(PLUGIN_TYPE) {
        problems.push(Problem::EntryAndDropIn(conf.to_owned(), path.clone()));
    }
    match serde_json::from_slice(text) {
        Err(error) => problems.push(Problem::EntryRefused(path, error_chain(&error))),
        Ok(entry) => problems.extend(refused(path, &entry)),
    }
    problems
}

fn refused(path: PathBuf, entry: &Value) -> Option<Problem> {
    let Some(fields) = entry.as_object() else {
        return Some(Problem::EntryRefused(
            path,
            "it is not a JSON object".to_owned(),
        ));
    };
    let error = MeshConf::decode(fields).err()?;
    Some(Problem::EntryRefused(path, error_chain(&error)))
}

/// Returns a problem if our copy differs from its original. A missing original is not a problem.
fn stale_copy(
    paths: &NodePaths,
    state: &NodeState,
    conf: &ConfFile,
    list: &ConfList,
) -> Option<Problem> {
    let of = list.field(COPY_OF)?.as_str()?;
    let primary = state.conf(&ConfName::new(of).ok()?)?;
    let others = |list: &ConfList| -> Vec<Value> {
        let ours = |plugin: &&Value| {
            !is_ours(plugin) && !Peer::ALL.into_iter().any(|peer| peer.is_entry(plugin))
        };
        list.plugins().iter().filter(ours).cloned().collect()
    };
    let is_current = primary
        .list()
        .is_ok_and(|primary| primary.name() == list.name() && others(&primary) == others(list));
    (!is_current).then(|| Problem::CopyStale(paths.conf(&conf.name), paths.conf(&primary.name)))
}
