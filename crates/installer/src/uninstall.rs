//! Plans an uninstallation: the lists first, then the binary that they name.

mod files;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;

use crate::install::ignored;
use crate::node_state::COPY_OF;
use crate::{
    Access, ConfFile, ConfKind, Edit, NodePaths, NodeState, Note, Plan, Step, UninstallOptions,
    istio,
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
    let istio_conf = istio_conf(paths, state, options, &mut plan);
    plan.notes.extend(ignored(paths, state, None));
    for conf in &state.confs {
        let restores = istio_conf.is_some_and(|restored| restored.name == conf.name);
        edit_conf(paths, state, conf, restores, &mut plan);
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

/// The list in which Istio CNI's entry is restored: the first that keeps one, unless Istio CNI has written
/// its entry itself, or its binary is missing. A note says why there is none.
fn istio_conf<'a>(
    paths: &NodePaths,
    state: &'a NodeState,
    options: &UninstallOptions,
    plan: &mut Plan,
) -> Option<&'a ConfFile> {
    if !options.restore_istio_cni {
        return None;
    }
    if let Some(active) = istio::active_in(state) {
        let path = paths.conf(&active.name);
        plan.notes.push(Note::IstioEntryExists { path });
        return None;
    }
    let keeps_entry = |conf: &&ConfFile| {
        !conf.is_copy() && conf.list().is_ok_and(|list| istio::was_replaced(&list))
    };
    let Some(conf) = state.confs.iter().find(keeps_entry) else {
        plan.notes.push(Note::NoIstioEntryToRestore);
        return None;
    };
    if !state.istio_binary {
        let path = paths.conf(&conf.name);
        plan.notes.push(Note::IstioBinaryMissing { path });
        return None;
    }
    Some(conf)
}

fn edit_conf(
    paths: &NodePaths,
    state: &NodeState,
    conf: &ConfFile,
    restores_istio: bool,
    plan: &mut Plan,
) {
    let path = paths.conf(&conf.name);
    let Ok(mut list) = conf.list() else {
        return;
    };
    if list.field(COPY_OF).is_some() {
        let was = conf.text.clone();
        plan.steps.push(Step::RemoveList { path, was });
    } else if restores_istio {
        istio::restore(&mut list);
        plan.steps.push(Step::WriteList {
            text: list.text().to_vec(),
            was: Some(conf.text.clone()),
            access: Access::Like(path.clone()),
            edit: Edit::RestoredIstioCni,
            path,
        });
    } else {
        let removed = list.remove(PLUGIN_TYPE).is_change();
        if istio::forget(&mut list) || removed {
            plan.steps.extend(without_entry(paths, state, conf, &list));
        }
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
        let is_restored = |step: &Step| matches!(step, Step::Restore { from, .. } if *from == path);
        if plan.steps.iter().any(is_restored) {
            continue;
        }
        if state.conf(&saved.name).is_some() {
            plan.steps.push(Step::DiscardSaved { path });
        } else {
            plan.notes.push(Note::SavedFileKept { path });
        }
    }
}
