//! Plans the entry at the end of the network's own list.

use std::collections::BTreeSet;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{Change, ConfList};

use super::{
    choose_conf, note_stale_copy, parse, refuse_nested_peers, remove_copies, remove_drop_ins,
    remove_entries, rivals,
};
use crate::node_state::is_ours;
use crate::peer::entry_with;
use crate::{
    Access, ConfFile, ConfKind, Edit, NodePaths, NodeState, Note, Peer, Plan, Refusal, Settings,
    Step,
};

pub(super) fn chain(
    settings: &Settings,
    state: &NodeState,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let conf = choose_conf(paths, settings.conf_name.as_ref(), state)?;
    let mut list = parse(paths, conf)?;
    let edit = insert_entry(settings, conf, &mut list)?;
    let path = paths.conf(&conf.name);
    match (conf.name.kind(), edit) {
        (ConfKind::Single, _) => convert(paths, state, conf, &list, plan)?,
        (ConfKind::List, None) => plan.notes.push(Note::EntryInPlace { path }),
        (ConfKind::List, Some(edit)) => plan.steps.push(Step::WriteList {
            text: list.text().to_vec(),
            was: Some(conf.text.clone()),
            access: Access::Like(path.clone()),
            edit,
            path,
        }),
    }
    note_stale_copy(paths, state, conf, list.name(), plan);
    remove_entries(paths, state, Some(&conf.name.as_list()), plan);
    remove_copies(paths, state, None, plan);
    remove_drop_ins(paths, state, None, plan);
    Ok(())
}

/// Inserts the entry into a list and returns what changed; `None` if it was up to date.
pub(super) fn insert_entry(
    settings: &Settings,
    conf: &ConfFile,
    list: &mut ConfList,
) -> Result<Option<Edit>, Refusal> {
    let path = || settings.paths.conf(&conf.name);
    refuse_nested_peers(settings, conf)?;
    let is_replaced = |peer: &Peer| peer.is_in(list) && settings.replace.contains(peer);
    let replaced: BTreeSet<_> = Peer::ALL.into_iter().filter(is_replaced).collect();
    let mut rivals = rivals(settings);
    if let Some(peer) = rivals.find(|peer| peer.is_in(list) && !replaced.contains(peer)) {
        return Err(Refusal::Peer { path: path(), peer });
    }
    let theirs = Peer::ALL.into_iter().filter_map(|peer| {
        let active = peer.entry_of(list).filter(|_| replaced.contains(&peer));
        Some((peer, active.or_else(|| peer.kept_entry_of(list))?))
    });
    let entry = entry_with(&settings.entry, theirs, &path())?;
    if !replaced.is_empty() {
        // Ours is in the place of the first one.
        for peer in replaced.iter().rev() {
            peer.replace(list, &entry.chained());
        }
        return check_chainable(list, path).map(|()| Some(Edit::ReplacedPeers(replaced)));
    }
    if list.field("plugins").is_none() {
        return Err(Refusal::PluginsInDirectory { path: path() });
    }
    if list.plugins().iter().all(is_ours) {
        return Err(Refusal::NothingToChain { path: path() });
    }
    let first_is_ours = list.plugins().first().is_some_and(is_ours);
    if first_is_ours {
        // A first plugin has no previous result to pass on, so the entry moves to the end.
        list.remove(PLUGIN_TYPE);
    }
    let change = list
        .set_chained(&entry.chained())
        .expect("`Entry` checks our entry");
    Ok(change.is_change().then_some({
        if change == Change::Replaced || first_is_ours {
            Edit::Replaced
        } else {
            Edit::Appended
        }
    }))
}

/// Checks that there is a plugin before ours.
fn check_chainable(list: &ConfList, path: impl Fn() -> std::path::PathBuf) -> Result<(), Refusal> {
    if list.plugins().first().is_none_or(is_ours) {
        return Err(Refusal::NothingToChain { path: path() });
    }
    Ok(())
}

/// Writes the list before renaming the single plugin's file, so that a runtime always finds one that
/// it can load.
fn convert(
    paths: &NodePaths,
    state: &NodeState,
    single: &ConfFile,
    list: &ConfList,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let name = single.name.as_list();
    let (path, from) = (paths.conf(&name), paths.conf(&single.name));
    let existing = state.conf(&name);
    if let Some(existing) = existing
        && !existing.equals(list)
        && !is_conversion(existing, single, state)
    {
        return Err(Refusal::ListExists {
            single: from,
            list: path,
        });
    }
    if !existing.is_some_and(|existing| existing.equals(list)) {
        plan.steps.push(Step::WriteList {
            path,
            text: list.text().to_vec(),
            was: existing.map(|existing| existing.text.clone()),
            access: Access::Like(from.clone()),
            edit: Edit::Converted { from: from.clone() },
        });
    }
    plan.steps.push(Step::SetAside {
        from,
        to: paths.saved(&single.name),
        was: single.text.clone(),
    });
    Ok(())
}

/// Whether this list was converted from the single plugin's file, or from the renamed one.
fn is_conversion(existing: &ConfFile, single: &ConfFile, state: &NodeState) -> bool {
    let Ok(mut list) = existing.list() else {
        return false;
    };
    let had_entry = list.remove(PLUGIN_TYPE).is_change();
    let saved = state.saved(&single.name);
    had_entry && (single.equals(&list) || saved.is_some_and(|saved| saved.equals(&list)))
}
