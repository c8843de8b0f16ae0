//! Plans our own files: a network with the plugin only, and a copy of the network's list.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;
use serde_json::{Value, json};

use super::chain::insert_entry;
use super::{
    choose_conf, parse, refuse_peers, remove_copies, remove_drop_ins, remove_entries, rivals,
};
use crate::nested::{has_delegates, nests};
use crate::node_state::{COPY_OF, is_ours};
use crate::peer::entry_with;
use crate::{Access, ConfFile, Edit, Entry, NodeState, Note, Peer, Plan, Refusal, Settings, Step};

/// CNI version of our own list: the oldest one whose runtimes all call CHECK and pass results in
/// the current format.
const OWN_CNI_VERSION: &str = "1.0.0";

/// Multus never takes a file whose name begins so for its default network.
const MULTUS_FILE: &str = "00-multus.conf";

/// A copy of the network's list with our entry, sorted before it.
///
/// If the network's own list is missing, the copy stays, because the runtime has no other list.
pub(super) fn owned_first(
    settings: &Settings,
    state: &NodeState,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let name = &settings.owned_name;
    let path = paths.conf(name);
    let existing = state.conf(name);
    if existing.is_some_and(|existing| !existing.is_copy()) {
        return Err(Refusal::NotOurs { path });
    }
    let multus = other_multus(settings, state)?;
    let primary = match (choose_primary(settings, state, multus.is_some()), existing) {
        (Ok(primary), _) => primary,
        (Err(refusal), Some(copy)) if refusal.is_transient() => {
            return renew_copy(settings, copy, plan);
        }
        (Err(refusal), _) => return Err(refusal),
    };
    let earlier = state.confs.iter().find(|conf| !conf.is_copy());
    let earlier = earlier.filter(|earlier| earlier.name < *name && multus.is_none());
    if let Some(earlier) = earlier {
        let first = paths.conf(&earlier.name);
        return Err(Refusal::NotFirst { path, first });
    }
    let wanted = copy_of(settings, primary)?;
    if existing.is_some_and(|existing| existing.equals(&wanted)) {
        plan.notes.push(Note::CopyUpToDate { path });
    } else {
        let from = paths.conf(&primary.name);
        plan.steps.push(Step::WriteList {
            path,
            text: wanted.text().to_vec(),
            was: existing.map(|existing| existing.text.clone()),
            access: Access::Like(from.clone()),
            edit: Edit::Copied { from },
        });
    }
    remove_entries(paths, state, None, plan);
    remove_copies(paths, state, Some(name), plan);
    remove_drop_ins(paths, state, None, plan);
    Ok(())
}

/// Multus's file, where Multus takes our copy for its default network and calls our entry in it. Refuses
/// a copy that Multus would call without calling our entry, or that would make Multus call itself.
fn other_multus<'a>(
    settings: &Settings,
    state: &'a NodeState,
) -> Result<Option<&'a ConfFile>, Refusal> {
    let name = &settings.owned_name;
    let mut others = state.confs.iter().filter(|conf| !conf.is_copy());
    let multus = others.find(|conf| has_delegates(conf));
    let ignored = name.as_str().starts_with(MULTUS_FILE);
    let Some(multus) = multus.filter(|multus| !ignored || multus.name < *name) else {
        return Ok(None);
    };
    if nests(multus, PLUGIN_TYPE) {
        return Ok(Some(multus));
    }
    Err(Refusal::CopyBesideMultus {
        path: settings.paths.conf(name),
        multus: settings.paths.conf(&multus.name),
    })
}

/// The network's own list, which is not Multus's if Multus calls our copy.
fn choose_primary<'a>(
    settings: &Settings,
    state: &'a NodeState,
    beside_multus: bool,
) -> Result<&'a ConfFile, Refusal> {
    let requested = settings.conf_name.as_ref();
    if !beside_multus || requested.is_some() {
        return choose_conf(&settings.paths, requested, state);
    }
    let mut others = state.confs.iter();
    let path = settings.paths.conf_dir.clone();
    others
        .find(|conf| !conf.is_copy() && !has_delegates(conf))
        .ok_or(Refusal::NoConf { path })
}

/// The network's list with our entry, marked as our copy.
fn copy_of(settings: &Settings, primary: &ConfFile) -> Result<ConfList, Refusal> {
    let mut list = parse(&settings.paths, primary)?;
    list.remove(PLUGIN_TYPE);
    insert_entry(settings, primary, &mut list)?;
    list.set_field(COPY_OF, &Value::from(primary.name.as_str()))
        .expect("the field is not one of CNI");
    Ok(list)
}

/// Updates the entry of a copy whose original is missing.
fn renew_copy(settings: &Settings, copy: &ConfFile, plan: &mut Plan) -> Result<(), Refusal> {
    let path = settings.paths.conf(&copy.name);
    let mut list = parse(&settings.paths, copy)?;
    plan.notes
        .push(Note::CopyWithoutOriginal { path: path.clone() });
    if insert_entry(settings, copy, &mut list)?.is_some() {
        plan.steps.push(Step::WriteList {
            text: list.text().to_vec(),
            was: Some(copy.text.clone()),
            access: Access::Like(path.clone()),
            edit: Edit::Replaced,
            path,
        });
    }
    Ok(())
}

/// A network with the plugin only. It takes the place of a peer's network, whose file is renamed.
pub(super) fn stand_alone(
    settings: &Settings,
    state: &NodeState,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let theirs = peer_networks(settings, state)?;
    let primary = choose_conf(&settings.paths, None, state).ok();
    if let Some(primary) = primary
        && !theirs.iter().any(|(_, conf)| conf.name == primary.name)
        && let Ok(list) = primary.list()
    {
        refuse_peers(settings, primary, &list)?;
    }
    place_own(settings, state, plan)?;
    for (_, conf) in &theirs {
        plan.steps.push(Step::SetAside {
            from: settings.paths.conf(&conf.name),
            to: settings.paths.saved(&conf.name),
            was: conf.text.clone(),
        });
    }
    remove_entries(&settings.paths, state, Some(&settings.own_conf()), plan);
    remove_copies(&settings.paths, state, None, plan);
    remove_drop_ins(&settings.paths, state, None, plan);
    Ok(())
}

/// The networks of peers that are replaced.
fn peer_networks<'a>(
    settings: &Settings,
    state: &'a NodeState,
) -> Result<Vec<(Peer, &'a ConfFile)>, Refusal> {
    let mut networks = Vec::new();
    for peer in rivals(settings) {
        for conf in state.confs.iter().filter(|conf| peer.is_alone_in(conf)) {
            let path = settings.paths.conf(&conf.name);
            if !settings.replace.contains(&peer) {
                return Err(Refusal::Peer { path, peer });
            }
            let network = parse(&settings.paths, conf)?.name().to_owned();
            if network != settings.network_name {
                return Err(Refusal::PeerNetwork { path, network });
            }
            networks.push((peer, conf));
        }
    }
    Ok(networks)
}

/// Our entry with the settings of the peers' networks, which are active or were renamed.
fn entry_of_network(settings: &Settings, state: &NodeState) -> Result<Entry, Refusal> {
    let mut entry = settings.entry.clone();
    for conf in state.confs.iter().chain(&state.saved) {
        let (path, list) = (settings.paths.conf(&conf.name), conf.list());
        for peer in rivals(settings).filter(|peer| peer.is_alone_in(conf)) {
            let theirs = list.as_ref().ok().and_then(|list| peer.entry_of(list));
            entry = entry_with(&entry, theirs.map(|theirs| (peer, theirs)), &path)?;
        }
    }
    Ok(entry)
}

fn place_own(settings: &Settings, state: &NodeState, plan: &mut Plan) -> Result<(), Refusal> {
    let name = settings.own_conf();
    let path = settings.paths.conf(&name);
    let entry = entry_of_network(settings, state)?;
    let wanted = own_list(&settings.network_name, &entry.stand_alone());
    let existing = state.conf(&name);
    let existing_list = match existing.map(ConfFile::list).transpose() {
        Ok(list) => list,
        Err(source) => return Err(Refusal::InvalidConf { path, source }),
    };
    match &existing_list {
        Some(list) if !list.plugins().iter().all(is_ours) => Err(Refusal::NotOurs { path }),
        Some(list) if list.has_same_values(&wanted) => {
            plan.notes.push(Note::EntryInPlace { path });
            Ok(())
        }
        _ => {
            plan.steps.push(Step::WriteList {
                text: wanted.text().to_vec(),
                was: existing.map(|existing| existing.text.clone()),
                access: existing.map_or(Access::New, |_| Access::Like(path.clone())),
                edit: Edit::StandAlone,
                path,
            });
            Ok(())
        }
    }
}

fn own_list(network: &str, entry: &Value) -> ConfList {
    let list = json!({"cniVersion": OWN_CNI_VERSION, "name": network, "plugins": [entry]});
    ConfList::parse(format!("{list:#}\n")).expect("`Entry` checks our entry")
}
