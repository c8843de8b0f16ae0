//! What goes once no list names the plugin, and what of it stays for sandboxes that are still there.

use crate::{Binary, BinaryFate, Found, Leaving, NodePaths, Note, Plan, Sandboxes, Step};

/// Our part of the directories of networks; an empty directory of a network's name is taken for
/// what a run that was killed has made.
pub(super) fn leave_drop_ins(paths: &NodePaths, found: &Found, plan: &mut Plan) {
    for directory in &found.drop_ins {
        if let Some(was) = directory.text.clone() {
            let path = paths.drop_in(&directory.network);
            plan.steps.push(Step::RemoveList { path, was });
        } else if !is_network(found, &directory.network) {
            continue;
        }
        if !directory.shared {
            let path = paths.drop_in_dir(&directory.network);
            plan.steps.push(Step::RemoveDirectory { path });
        }
    }
}

/// Is there something that a runtime may still need until it has loaded the lists?
pub(super) fn are_there(found: &Found, leaving: &Leaving) -> bool {
    let run_dir = found.kubeconfig.is_some() || !found.run_files.is_empty();
    run_dir || (found.binary != Binary::Missing && goes(found, leaving))
}

/// Kubeconfig, socket and log, then the directory if nothing else is in it.
pub(super) fn leave_run_dir(paths: &NodePaths, found: &Found, plan: &mut Plan) {
    let kubeconfig = found.kubeconfig.as_ref().map(|_| paths.kubeconfig());
    let files = kubeconfig
        .into_iter()
        .chain(found.run_files.iter().cloned());
    let before = plan.steps.len();
    for path in files {
        let room = path.parent().filter(|parent| **parent != *paths.run_dir);
        let room = room.map(|room| Step::RemoveDirectory { path: room.into() });
        plan.steps.push(Step::RemoveRunFile { path });
        plan.steps.extend(room);
    }
    if plan.steps.len() > before {
        let path = paths.run_dir.clone();
        plan.steps.push(Step::RemoveDirectory { path });
    }
}

pub(super) fn leave_binary(paths: &NodePaths, found: &Found, leaving: &Leaving, plan: &mut Plan) {
    let path = paths.binary();
    if found.binary == Binary::Missing {
        return;
    }
    if goes(found, leaving) {
        plan.steps.push(Step::RemoveBinary { path });
    } else if leaving.binary == BinaryFate::Keep {
        plan.notes.push(Note::BinaryKept { path });
    } else {
        let sandboxes = found.sandboxes;
        plan.notes.push(Note::BinaryNeeded { path, sandboxes });
    }
}

fn goes(found: &Found, leaving: &Leaving) -> bool {
    match leaving.binary {
        BinaryFate::Remove => true,
        BinaryFate::WhenUnused => found.sandboxes == Sandboxes::Counted(0),
        BinaryFate::Keep => false,
    }
}

fn is_network(found: &Found, name: &str) -> bool {
    let mut lists = found.confs.iter().filter_map(|conf| conf.list().ok());
    lists.any(|list| list.name() == name)
}
