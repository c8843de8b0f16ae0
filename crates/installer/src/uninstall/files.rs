//! Plans the removal of files other than lists, and of the binary unless sandboxes need it.

use crate::nested::nested_entries;
use crate::{
    Binary, BinaryRemoval, NodePaths, NodeState, Note, Plan, Sandboxes, Step, UninstallOptions,
};

/// Removes our files in network directories. An empty directory with a network's name is assumed to be
/// the rest of an interrupted run.
pub(super) fn remove_drop_ins(paths: &NodePaths, state: &NodeState, plan: &mut Plan) {
    for directory in &state.drop_ins {
        if let Some(was) = directory.text.clone() {
            let path = paths.drop_in(&directory.network);
            plan.steps.push(Step::RemoveDropIn { path, was });
        } else if !is_network(state, &directory.network) {
            continue;
        }
        if !directory.shared {
            let path = paths.drop_in_dir(&directory.network);
            plan.steps.push(Step::RemoveDirectory { path });
        }
    }
}

/// Whether a runtime may need one of the files until it has loaded the new lists. Meanwhile a
/// meta-plugin may copy the new list.
pub(super) fn need_grace(state: &NodeState, options: &UninstallOptions) -> bool {
    let run_dir = state.kubeconfig.is_some() || !state.run_files.is_empty();
    run_dir || (state.binary != Binary::Missing && !sandboxes_need_it(state, options))
}

/// Removes kubeconfig, socket and log, then the directory if it is empty.
pub(super) fn remove_run_dir(paths: &NodePaths, state: &NodeState, plan: &mut Plan) {
    let kubeconfig = state.kubeconfig.as_ref().map(|_| paths.kubeconfig());
    let files = kubeconfig
        .into_iter()
        .chain(state.run_files.iter().cloned());
    let before = plan.steps.len();
    for path in files {
        let socket_dir = path
            .parent()
            .filter(|parent| **parent != *paths.run_dir)
            .map(|directory| Step::RemoveDirectory {
                path: directory.into(),
            });
        plan.steps.push(Step::RemoveRunFile { path });
        plan.steps.extend(socket_dir);
    }
    if plan.steps.len() > before {
        let path = paths.run_dir.clone();
        plan.steps.push(Step::RemoveDirectory { path });
    }
}

/// Removes the binary, unless something needs it; notes say what. If a configuration still names it,
/// new pods call it too, so it becomes a plugin that passes everything through.
pub(super) fn remove_binary(
    paths: &NodePaths,
    state: &NodeState,
    options: &UninstallOptions,
    plan: &mut Plan,
) {
    let mark = paths.uninstalled_mark();
    if state.binary == Binary::Missing {
        if state.uninstalled {
            plan.steps.push(Step::RemoveMark { path: mark });
        }
        return;
    }
    let path = paths.binary();
    let nested = nested_entries(paths, state);
    if options.binary == BinaryRemoval::Never {
        plan.notes.push(Note::BinaryKept { path: path.clone() });
    } else if sandboxes_need_it(state, options) {
        let (path, sandboxes) = (path.clone(), state.sandboxes);
        plan.notes.push(Note::BinaryNeeded { path, sandboxes });
    } else if nested.is_empty() {
        plan.steps.push(Step::RemoveBinary { path });
        if state.uninstalled {
            plan.steps.push(Step::RemoveMark { path: mark });
        }
        return;
    }
    if !nested.is_empty() && !state.uninstalled {
        plan.steps.push(Step::WriteMark { path: mark });
    }
    let named = nested.into_iter().map(|by| Note::BinaryNamed {
        path: paths.binary(),
        by,
    });
    plan.notes.extend(named);
}

fn sandboxes_need_it(state: &NodeState, options: &UninstallOptions) -> bool {
    match options.binary {
        BinaryRemoval::Always => false,
        BinaryRemoval::WhenUnused => state.sandboxes != Sandboxes::Counted(0),
        BinaryRemoval::Never => true,
    }
}

fn is_network(state: &NodeState, name: &str) -> bool {
    state
        .confs
        .iter()
        .filter_map(|conf| conf.list().ok())
        .any(|list| list.name() == name)
}
