//! Plans an installation: the binary first, then the list that names it.

mod chain;
mod drop_in;
pub(crate) mod loading;
mod own_list;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;

use crate::nested::{nested_entries, nests, stale_copy_of};
use crate::node_state::{LOOPBACK, is_no_pod_network};
use crate::uninstall::without_entry;
use crate::{
    Binary, Blocked, Chaining, ConfFile, ConfName, DirectoryState, NodePaths, NodeState, Note,
    Peer, Plan, Refusal, Settings, Step, error_chain,
};

/// Plans the steps after which the node has the binary and exactly one entry.
pub fn plan_install(settings: &Settings, state: &NodeState) -> Result<Plan, Refusal> {
    let mut replaced = settings.replace.iter();
    if let Some(peer) = replaced.find(|peer| !peer.is_rival_of(settings.entry.conf())) {
        return Err(Refusal::PeerNotServed { peer: *peer });
    }
    let mut plan = Plan::default();
    let leftovers = state.leftovers.iter().cloned();
    plan.steps
        .extend(leftovers.map(|path| Step::RemoveLeftover { path }));
    place_binary(settings, state, &mut plan)?;
    place_kubeconfig(settings, state, &mut plan)?;
    if state.conf_dir == DirectoryState::Missing {
        let path = settings.paths.conf_dir.clone();
        return Err(Refusal::NoConfDir { path });
    }
    let own = (settings.chaining == Chaining::StandAlone).then(|| settings.own_conf());
    plan.notes
        .extend(ignored(&settings.paths, state, own.as_ref()));
    match settings.chaining {
        Chaining::Chained => chain::chain(settings, state, &mut plan)?,
        Chaining::StandAlone => own_list::stand_alone(settings, state, &mut plan)?,
        Chaining::OwnedFirst => own_list::owned_first(settings, state, &mut plan)?,
        Chaining::DropIn => drop_in::drop_in(settings, state, &mut plan)?,
    }
    if settings.chaining != Chaining::StandAlone {
        let requested = settings.conf_name.as_ref();
        plan.notes
            .extend(loading::signs(&settings.paths, requested, state));
    }
    plan.notes.extend(kubeconfigs(settings, state));
    if settings.api_server.is_none() && state.kubeconfig.is_some() {
        let path = settings.paths.kubeconfig();
        plan.steps.push(Step::RemoveRunFile { path });
    }
    Ok(plan)
}

/// Plans the repair that a node needs even if [`plan_install`] refuses it: if a list names the plugin
/// and its binary is missing, no pod can start.
pub fn plan_binary_repair(settings: &Settings, state: &NodeState) -> Plan {
    let mut plan = Plan::default();
    let named = state.confs.iter().any(ConfFile::has_entry)
        || !nested_entries(&settings.paths, state).is_empty()
        || state.drop_ins.iter().any(|drop_in| drop_in.text.is_some());
    let is_broken = matches!(state.binary, Binary::Missing | Binary::Mode(_));
    if named && is_broken && state.bin_dir == DirectoryState::Present {
        plan.steps.push(Step::WriteBinary {
            from: settings.plugin_binary.clone(),
            path: settings.paths.binary(),
        });
    }
    plan
}

/// The configuration to chain into: the requested one, or the one that the runtime loads, which is the
/// first that can be loaded. Ignores our own copies, and lists that are not the network of pods.
pub(crate) fn choose_conf<'a>(
    paths: &NodePaths,
    requested: Option<&ConfName>,
    state: &'a NodeState,
) -> Result<&'a ConfFile, Refusal> {
    let conf = match requested {
        None => first_loaded(state).ok_or_else(|| nothing_loaded(paths, state)),
        Some(name) => requested_conf(paths, name, state),
    }?;
    if conf.is_too_deep() {
        let path = paths.conf(&conf.name);
        return Err(Refusal::TooDeep { path });
    }
    Ok(conf)
}

fn requested_conf<'a>(
    paths: &NodePaths,
    name: &ConfName,
    state: &'a NodeState,
) -> Result<&'a ConfFile, Refusal> {
    if let Some(unreadable) = state.unreadable.iter().find(|conf| conf.name == *name) {
        return Err(Refusal::unreadable(paths, unreadable));
    }
    // An earlier run may have converted a requested single plugin's file to a list.
    let conf = state.conf(name).or_else(|| state.conf(&name.as_list()));
    let path = paths.conf(name);
    conf.ok_or(Refusal::NoSuchConf { path })
}

/// The first configuration that a runtime loads, if it is the network of pods.
fn first_loaded(state: &NodeState) -> Option<&ConfFile> {
    let mut confs = state.confs.iter().filter(|conf| !conf.is_copy());
    confs.find(|conf| match conf.list() {
        Ok(list) => !is_no_pod_network(&list),
        Err(_) => conf.is_too_deep(),
    })
}

/// Why no configuration is the network of pods.
fn nothing_loaded(paths: &NodePaths, state: &NodeState) -> Refusal {
    let invalid = |conf: &ConfFile| {
        let source = conf.list().err()?;
        let path = paths.conf(&conf.name);
        Some(Refusal::InvalidConf { path, source })
    };
    let unreadable = || state.unreadable.first();
    let unreadable = || Some(Refusal::unreadable(paths, unreadable()?));
    let loopback = || {
        let only = state.confs.iter().find(|conf| conf.has(LOOPBACK))?;
        let path = paths.conf(&only.name);
        Some(Refusal::OnlyLoopback { path })
    };
    let path = paths.conf_dir.clone();
    let invalid = state.confs.iter().find_map(invalid);
    invalid
        .or_else(unreadable)
        .or_else(loopback)
        .unwrap_or(Refusal::NoConf { path })
}

/// Notes on the files that a runtime would not load; `own` is the file of mode stand-alone.
pub(crate) fn ignored(paths: &NodePaths, state: &NodeState, own: Option<&ConfName>) -> Vec<Note> {
    let loaded = first_loaded(state).map(|conf| &conf.name);
    let blocks = |name: &ConfName| {
        let sorts_before = |other: Option<&ConfName>| other.is_some_and(|other| name < other);
        if sorts_before(loaded) {
            Some(Blocked::EveryNetwork)
        } else {
            sorts_before(own).then_some(Blocked::OwnNetwork)
        }
    };
    let note = |name: &ConfName, why: String| Note::Ignored {
        path: paths.conf(name),
        why,
        blocks: blocks(name),
    };
    let invalid = |conf: &ConfFile| Some(note(&conf.name, error_chain(&conf.list().err()?)));
    let unreadable = state.unreadable.iter();
    let confs = state.confs.iter().filter(|conf| !conf.is_too_deep());
    confs
        .filter_map(invalid)
        .chain(unreadable.map(|conf| note(&conf.name, conf.why.clone())))
        .collect()
}

fn place_binary(settings: &Settings, state: &NodeState, plan: &mut Plan) -> Result<(), Refusal> {
    if state.bin_dir == DirectoryState::Missing {
        let path = settings.paths.bin_dir.clone();
        return Err(Refusal::NoBinDir { path });
    }
    let path = settings.paths.binary();
    if state.binary == Binary::Ready {
        plan.notes.push(Note::BinaryInPlace { path });
    } else {
        let from = settings.plugin_binary.clone();
        plan.steps.push(Step::WriteBinary { from, path });
    }
    if state.uninstalled {
        let path = settings.paths.uninstalled_mark();
        plan.steps.push(Step::RemoveMark { path });
    }
    Ok(())
}

/// The kubeconfig is written before the list, whose entry names it.
fn place_kubeconfig(
    settings: &Settings,
    state: &NodeState,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let Some(server) = &settings.api_server else {
        return Ok(());
    };
    let path = settings.paths.kubeconfig();
    let account = state.account.as_ref().ok_or(Refusal::NoAccount)?;
    let text = server.kubeconfig(account);
    let existing = state.kubeconfig.as_ref();
    if existing.is_some_and(|existing| existing.mode == 0o600 && existing.text == text) {
        plan.notes.push(Note::KubeconfigInPlace { path });
    } else {
        plan.steps.push(Step::WriteKubeconfig { path, text });
    }
    Ok(())
}

fn parse(paths: &NodePaths, conf: &ConfFile) -> Result<ConfList, Refusal> {
    let path = || paths.conf(&conf.name);
    match conf.list() {
        Err(source) => Err(Refusal::InvalidConf {
            path: path(),
            source,
        }),
        Ok(list) if list.name().is_empty() => Err(Refusal::Nameless { path: path() }),
        Ok(list) => Ok(list),
    }
}

/// The peers that redirect the pods that our entry is for.
fn rivals(settings: &Settings) -> impl Iterator<Item = Peer> {
    let conf = settings.entry.conf();
    Peer::ALL
        .into_iter()
        .filter(move |peer| peer.is_rival_of(conf))
}

/// Refuses a list whose pods a peer already redirects.
fn refuse_peers(settings: &Settings, conf: &ConfFile, list: &ConfList) -> Result<(), Refusal> {
    if let Some(peer) = rivals(settings).find(|peer| peer.is_in(list)) {
        let path = settings.paths.conf(&conf.name);
        return Err(Refusal::PeerNotReplaceable { path, peer });
    }
    refuse_nested_peers(settings, conf)
}

/// Notes that the runtime calls Multus, whose copy of this network has no entry yet.
fn note_stale_copy(
    paths: &NodePaths,
    state: &NodeState,
    conf: &ConfFile,
    network: &str,
    plan: &mut Plan,
) {
    plan.notes
        .extend(stale_copy_of(state, conf, network).map(|first| {
            let (conf, network) = (paths.conf(&first.name), network.to_owned());
            Note::StaleNetwork { conf, network }
        }));
}

/// Refuses a list with a plugin that calls a peer.
fn refuse_nested_peers(settings: &Settings, conf: &ConfFile) -> Result<(), Refusal> {
    match rivals(settings).find(|peer| nests(conf, peer.plugin_type())) {
        Some(peer) => Err(Refusal::PeerNested {
            path: settings.paths.conf(&conf.name),
            peer,
        }),
        None => Ok(()),
    }
}

/// Notes which replaced peers have a kubeconfig on the node.
fn kubeconfigs<'a>(
    settings: &'a Settings,
    state: &'a NodeState,
) -> impl Iterator<Item = Note> + 'a {
    let replaced = state.peer_kubeconfigs.intersection(&settings.replace);
    replaced.filter_map(|peer| {
        Some(Note::PeerKubeconfig {
            path: settings.paths.conf_dir.join(peer.kubeconfig()?),
            peer: *peer,
        })
    })
}

/// Removes our entry from every list except `keep`, after the plugin is called in another way or from
/// another list. A list that was converted from a single plugin's file becomes that file again.
fn remove_entries(paths: &NodePaths, state: &NodeState, keep: Option<&ConfName>, plan: &mut Plan) {
    let others = state.confs.iter().filter(|conf| Some(&conf.name) != keep);
    for conf in others.filter(|conf| !conf.is_copy()) {
        let Ok(mut list) = conf.list() else {
            continue;
        };
        if list.remove(PLUGIN_TYPE).is_change() && !list.plugins().is_empty() {
            plan.steps.extend(without_entry(paths, state, conf, &list));
        }
    }
}

/// Removes our copies except `keep`, after the plugin is called in another way.
fn remove_copies(paths: &NodePaths, state: &NodeState, keep: Option<&ConfName>, plan: &mut Plan) {
    plan.steps.extend(
        state
            .confs
            .iter()
            .filter(|conf| conf.is_copy() && Some(&conf.name) != keep)
            .map(|copy| Step::RemoveList {
                path: paths.conf(&copy.name),
                was: copy.text.clone(),
            }),
    );
}

/// Removes our files from network directories except `keep`'s, after the plugin is called in another
/// way.
fn remove_drop_ins(paths: &NodePaths, state: &NodeState, keep: Option<&str>, plan: &mut Plan) {
    for directory in &state.drop_ins {
        let Some(text) = &directory.text else {
            continue;
        };
        if Some(directory.network.as_str()) == keep {
            continue;
        }
        plan.steps.push(Step::RemoveDropIn {
            path: paths.drop_in(&directory.network),
            was: text.clone(),
        });
        if !directory.shared {
            plan.steps.push(Step::RemoveDirectory {
                path: paths.drop_in_dir(&directory.network),
            });
        }
    }
}
