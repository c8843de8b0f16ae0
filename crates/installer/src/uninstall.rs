//! Plans an uninstallation: the lists first, then the binary that they name.

mod files;

use std::collections::BTreeSet;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;

use crate::install::ignored;
use crate::node_state::COPY_OF;
use crate::{
    Access, ConfFile, ConfKind, Edit, NodePaths, NodeState, Note, Peer, Plan, Step,
    UninstallOptions,
};

/// Plans the steps after which no list has our entry, converted files are restored, and the binary is
/// removed unless a sandbox or another plugin's configuration needs it.
///
/// Nothing refuses an uninstallation: an agent that is gone and an entry that stays would leave every pod
/// waiting.
pub fn plan_uninstall(paths: &NodePaths, state: &NodeState, options: &UninstallOptions) -> Plan {
    let mut plan = Plan::default();
    let leftovers = state.leftovers.iter().cloned();
    plan.steps
        .extend(leftovers.map(|path| Step::RemoveLeftover { path }));
    let restored: Vec<_> = options
        .restore
        .iter()
        .filter_map(|peer| Some((*peer, restorable(paths, state, *peer, &mut plan)?)))
        .collect();
    plan.notes.extend(ignored(paths, state, None));
    // A renamed file is restored first, so that pods which request its network always find one.
    for saved in &state.saved {
        settle_peer_network(paths, state, saved, &restored, &mut plan);
    }
    for conf in &state.confs {
        let in_conf = restored.iter().filter(|(_, kept)| kept.name == conf.name);
        let to_restore = in_conf.map(|(peer, _)| *peer).collect();
        edit_conf(paths, state, conf, to_restore, &mut plan);
    }
    settle_saved_files(paths, state, &mut plan);
    files::remove_drop_ins(paths, state, &mut plan);
    if !plan.steps.is_empty() && !options.grace.is_zero() && files::need_grace(state, options) {
        plan.steps.push(Step::AwaitReload {
            pause: options.grace,
        });
    }
    files::remove_run_dir(paths, state, &mut plan);
    files::remove_binary(paths, state, options, &mut plan);
    let is_about_us = |note: &Note| !matches!(note, Note::Ignored { .. });
    if plan.steps.is_empty() && !plan.notes.iter().any(is_about_us) {
        plan.notes.push(Note::NothingInstalled);
    }
    plan
}

/// The file in which a peer's entry is restored: the first that keeps one, or its own network's, which an
/// install renamed. `None`, with a note, if there is none, if the peer has written its entry itself, or if a
/// file is missing without which it fails.
fn restorable<'a>(
    paths: &NodePaths,
    state: &'a NodeState,
    peer: Peer,
    plan: &mut Plan,
) -> Option<&'a ConfFile> {
    let keeps_entry = |conf: &&ConfFile| {
        !conf.is_copy()
            && conf
                .list()
                .is_ok_and(|list| peer.kept_entry_of(&list).is_some())
    };
    let mut saved = state.saved.iter();
    let kept = state.confs.iter().find(keeps_entry);
    let kept = kept.or_else(|| saved.find(|saved| peer.is_alone_in(saved)));
    if let Some(active) = peer.active_in(state, kept.map(|conf| &conf.name)) {
        let path = paths.conf(&active.name);
        plan.notes.push(Note::PeerEntryExists { path, peer });
        return None;
    }
    let Some(conf) = kept else {
        plan.notes.push(Note::NoPeerEntryToRestore(peer));
        return None;
    };
    let missing = if !state.peer_binaries.contains(&peer) {
        Some("binary")
    } else if peer.kubeconfig().is_some() && !state.peer_kubeconfigs.contains(&peer) {
        Some("kubeconfig")
    } else {
        None
    };
    if let Some(file) = missing {
        let path = paths.conf(&conf.name);
        plan.notes.push(Note::PeerFileMissing { path, peer, file });
        return None;
    }
    Some(conf)
}

/// Restores or removes the renamed file of a peer's network.
fn settle_peer_network(
    paths: &NodePaths,
    state: &NodeState,
    saved: &ConfFile,
    restored: &[(Peer, &ConfFile)],
    plan: &mut Plan,
) {
    let mut peers = Peer::ALL.into_iter();
    let peer = peers.find(|peer| peer.is_alone_in(saved));
    let Some(peer) = peer.filter(|_| state.conf(&saved.name).is_none()) else {
        return;
    };
    let from = paths.saved(&saved.name);
    let is_restored =
        |(restored, conf): &(Peer, &ConfFile)| *restored == peer && conf.name == saved.name;
    plan.steps.push(if restored.iter().any(is_restored) {
        let to = paths.conf(&saved.name);
        Step::Restore { from, to }
    } else {
        Step::RemoveList {
            path: from,
            was: saved.text.clone(),
        }
    });
}

fn edit_conf(
    paths: &NodePaths,
    state: &NodeState,
    conf: &ConfFile,
    restores: BTreeSet<Peer>,
    plan: &mut Plan,
) {
    let path = paths.conf(&conf.name);
    let Ok(mut list) = conf.list() else {
        return;
    };
    if list.field(COPY_OF).is_some() {
        let was = conf.text.clone();
        plan.steps.push(Step::RemoveList { path, was });
        return;
    }
    for peer in &restores {
        peer.restore(&mut list);
    }
    let mut is_changed = list.remove(PLUGIN_TYPE).is_change();
    for peer in Peer::ALL {
        is_changed |= peer.forget(&mut list);
    }
    if !restores.is_empty() {
        plan.steps.push(Step::WriteList {
            text: list.text().to_vec(),
            was: Some(conf.text.clone()),
            access: Access::Like(path.clone()),
            edit: Edit::RestoredPeers(restores),
            path,
        });
    } else if is_changed {
        plan.steps.extend(without_entry(paths, state, conf, &list));
    }
}

/// The steps that turn a file into `rest`, its list without our entry.
pub(crate) fn without_entry(
    paths: &NodePaths,
    state: &NodeState,
    conf: &ConfFile,
    rest: &ConfList,
) -> Vec<Step> {
    let path = paths.conf(&conf.name);
    let was = conf.text.clone();
    let remove = Step::RemoveList {
        path: path.clone(),
        was: was.clone(),
    };
    if rest.plugins().is_empty() {
        return vec![remove];
    }
    match origin(paths, state, conf, rest) {
        Origin::Existing => vec![remove],
        // The file is restored first, so that a runtime always finds one of the two.
        Origin::Saved(restore) => vec![restore, remove],
        Origin::Own => vec![Step::WriteList {
            text: rest.text().to_vec(),
            was: Some(was),
            access: Access::Like(path.clone()),
            edit: Edit::Removed,
            path,
        }],
    }
}

/// The origin of a list, ignoring our entry.
enum Origin {
    /// It was always a list, or others changed it.
    Own,
    /// Converted from a single plugin's file, which this step restores.
    Saved(Step),
    /// Converted from a single plugin's file, which exists.
    Existing,
}

fn origin(paths: &NodePaths, state: &NodeState, conf: &ConfFile, rest: &ConfList) -> Origin {
    if conf.name.kind() == ConfKind::Single {
        return Origin::Own;
    }
    for single in conf.name.as_singles() {
        let equals_rest = |file: &ConfFile| file.equals(rest);
        let from_saved = state.saved(&single).is_some_and(equals_rest);
        match state.conf(&single) {
            Some(existing) if from_saved || equals_rest(existing) => return Origin::Existing,
            None if from_saved => {
                return Origin::Saved(Step::Restore {
                    from: paths.saved(&single),
                    to: paths.conf(&single),
                });
            }
            _ => {}
        }
    }
    Origin::Own
}

/// A renamed file that is not restored is removed if a file with its original name exists. Otherwise
/// it stays: it may be the only copy, and restoring it could change the node's network.
fn settle_saved_files(paths: &NodePaths, state: &NodeState, plan: &mut Plan) {
    for saved in &state.saved {
        let path = paths.saved(&saved.name);
        let is_settled = |step: &Step| matches!(step, Step::Restore { from: file, .. } | Step::RemoveList { path: file, .. } if *file == path);
        if plan.steps.iter().any(is_settled) {
            continue;
        }
        if state.conf(&saved.name).is_some() {
            plan.steps.push(Step::DiscardSaved { path });
        } else {
            plan.notes.push(Note::SavedFileKept { path });
        }
    }
}
