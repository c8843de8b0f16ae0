//! Judging a node: installed, not installed, or partly, and then why.

mod text;

use std::path::{Path, PathBuf};

use mesh_cni_plan::{MeshConf, PLUGIN_TYPE};
use mesh_cni_spec::ConfList;
use serde_json::Value;

use crate::found::COPY_OF;
use crate::install::{choose, is_ours};
use crate::{Binary, ConfFile, ConfName, Found, NodePaths, istio, one_line};

/// What a node is like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// In a word.
    pub installation: Installation,
    /// The configuration that has our entry, or should have it.
    pub conf: Option<PathBuf>,
    /// What keeps the plugin from being called, or from working; empty where it is installed.
    pub ailments: Vec<Ailment>,
}

/// Whether the plugin is on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installation {
    /// Binary and entry are in place.
    Installed,
    /// Neither is.
    NotInstalled,
    /// One of them is, or one of them is not right.
    Partly,
}

/// What keeps the plugin from being called, or from working.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ailment {
    /// There is no binary.
    BinaryMissing(PathBuf),
    /// The binary is another one than the agent's own.
    BinaryDiffers(PathBuf),
    /// The binary has other permissions than 0755.
    BinaryMode(PathBuf, u32),
    /// There is no network configuration.
    ConfMissing(String),
    /// The configuration that the runtime takes cannot be loaded.
    ConfUnreadable(PathBuf, String),
    /// The configuration that the runtime takes does not name the plugin.
    EntryMissing(PathBuf),
    /// It names the plugin more than once.
    EntryTwice(PathBuf),
    /// It names the plugin first, where there is nothing to be chained to.
    EntryFirst(PathBuf),
    /// The plugin is in the list, and in the directory of the network as well.
    EntryAndDropIn(PathBuf, PathBuf),
    /// The copy of the network's list is not in step with it.
    CopyStale(PathBuf, PathBuf),
    /// Istio CNI redirects the same pods.
    IstioCni(PathBuf),
    /// The plugin would refuse its entry.
    EntryRefused(PathBuf, String),
}

/// Judges what was found. `wanted` is the configuration that the plugin should be chained into,
/// by default the runtime's choice.
pub fn judge(paths: &NodePaths, wanted: Option<&ConfName>, found: &Found) -> Status {
    let mut ailments = Vec::from_iter(binary_ailment(paths, found));
    let conf = entry_conf(paths, wanted, found);
    match &conf {
        Err(problem) => ailments.push(Ailment::ConfMissing(problem.clone())),
        Ok(conf) => ailments.extend(entry_ailments(paths, found, conf)),
    }
    let named = found.confs.iter().any(|conf| names_us(found, conf));
    let installation = if ailments.is_empty() {
        Installation::Installed
    } else if found.binary == Binary::Missing && !named {
        Installation::NotInstalled
    } else {
        Installation::Partly
    };
    Status {
        installation,
        conf: conf.ok().map(|conf| paths.conf(&conf.name)),
        ailments,
    }
}

fn binary_ailment(paths: &NodePaths, found: &Found) -> Option<Ailment> {
    let path = paths.binary();
    match found.binary {
        Binary::Ready => None,
        Binary::Missing => Some(Ailment::BinaryMissing(path)),
        Binary::Differs => Some(Ailment::BinaryDiffers(path)),
        Binary::Mode(mode) => Some(Ailment::BinaryMode(path, mode)),
    }
}

/// The configuration that has our entry or should have it: our copy where it is the runtime's
/// choice, else the chosen one, unless only a file of our own, outside of any chain, names us.
fn entry_conf<'a>(
    paths: &NodePaths,
    wanted: Option<&ConfName>,
    found: &'a Found,
) -> Result<&'a ConfFile, String> {
    if let Some(copy) = found.confs.first().filter(|first| first.is_copy()) {
        return Ok(copy);
    }
    let chosen = choose(paths, wanted, found).map_err(|refusal| refusal.to_string())?;
    let own = found.confs.iter().find(|conf| is_own(conf));
    Ok(own
        .filter(|_| wanted.is_none() && !names_us(found, chosen))
        .unwrap_or(chosen))
}

/// In the list, or in the directory of its network.
fn names_us(found: &Found, conf: &ConfFile) -> bool {
    let dropped_in = |list: ConfList| found.drop_in(list.name()).is_some();
    conf.names_us() || conf.list().is_ok_and(dropped_in)
}

/// Is this a network of the plugin alone?
fn is_own(conf: &ConfFile) -> bool {
    conf.list().is_ok_and(|list| {
        let stands_alone = |plugin| is_ours(plugin) && stands_alone(plugin);
        !list.plugins().is_empty() && list.plugins().iter().all(stands_alone)
    })
}

fn stands_alone(plugin: &Value) -> bool {
    plugin.get("standalone") == Some(&Value::Bool(true))
}

fn entry_ailments(paths: &NodePaths, found: &Found, conf: &ConfFile) -> Vec<Ailment> {
    let path = paths.conf(&conf.name);
    let list = match conf.list() {
        Err(error) => return vec![Ailment::ConfUnreadable(path, one_line(&error))],
        Ok(list) => list,
    };
    let mut ailments = Vec::new();
    if istio::is_in(&list) {
        ailments.push(Ailment::IstioCni(path.clone()));
    }
    ailments.extend(stale_copy(paths, found, conf, &list));
    match found.drop_in(list.name()) {
        None => ailments.extend(inline_ailments(&path, &list)),
        Some(text) => ailments.extend(drop_in_ailments(paths, &path, &list, text)),
    }
    ailments
}

fn inline_ailments(path: &Path, list: &ConfList) -> Vec<Ailment> {
    let path = || path.to_owned();
    let mut ours = list.plugins().iter().filter(|plugin| is_ours(plugin));
    let Some(entry) = ours.next() else {
        return vec![Ailment::EntryMissing(path())];
    };
    let mut ailments = Vec::new();
    if ours.next().is_some() {
        ailments.push(Ailment::EntryTwice(path()));
    }
    if list.plugins().first() == Some(entry) && !stands_alone(entry) {
        ailments.push(Ailment::EntryFirst(path()));
    }
    ailments.extend(refused(path(), entry));
    ailments
}

fn drop_in_ailments(paths: &NodePaths, conf: &Path, list: &ConfList, text: &str) -> Vec<Ailment> {
    let path = paths.drop_in(list.name());
    let mut ailments = Vec::new();
    if list.contains(PLUGIN_TYPE) {
        ailments.push(Ailment::EntryAndDropIn(conf.to_owned(), path.clone()));
    }
    match serde_json::from_str(text) {
        Err(error) => ailments.push(Ailment::EntryRefused(path, one_line(&error))),
        Ok(entry) => ailments.extend(refused(path, &entry)),
    }
    ailments
}

fn refused(path: PathBuf, entry: &Value) -> Option<Ailment> {
    let Some(fields) = entry.as_object() else {
        return Some(Ailment::EntryRefused(path, "it is no object".to_owned()));
    };
    let error = MeshConf::decode(fields).err()?;
    Some(Ailment::EntryRefused(path, one_line(&error)))
}

/// Does a copy of ours say something else than the list that it is a copy of? Where that one is
/// gone, there is nothing to be in step with.
fn stale_copy(
    paths: &NodePaths,
    found: &Found,
    conf: &ConfFile,
    list: &ConfList,
) -> Option<Ailment> {
    let of = list.field(COPY_OF)?.as_str()?;
    let primary = found.conf(&ConfName::new(of).ok()?)?;
    let others = |list: &ConfList| -> Vec<Value> {
        let ours = |plugin: &&Value| !is_ours(plugin) && !istio::is_entry(plugin);
        list.plugins().iter().filter(ours).cloned().collect()
    };
    let in_step = primary
        .list()
        .is_ok_and(|primary| primary.name() == list.name() && others(&primary) == others(list));
    (!in_step).then(|| Ailment::CopyStale(paths.conf(&conf.name), paths.conf(&primary.name)))
}
