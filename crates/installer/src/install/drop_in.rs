//! Plans a file in the network's directory, which newer runtimes append to the list.

use serde_json::Value;

use super::{
    choose_conf, note_stale_copy, parse, refuse_peers, remove_copies, remove_drop_ins,
    remove_entries,
};
use crate::{Access, ConfFile, ConfKind, Edit, NodeState, Note, Plan, Refusal, Settings, Step};

pub(super) fn drop_in(
    settings: &Settings,
    state: &NodeState,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let conf = choose_conf(paths, settings.conf_name.as_ref(), state)?;
    let list = parse(paths, conf)?;
    refuse_peers(settings, conf, &list)?;
    let is_single = conf.name.kind() == ConfKind::Single || was_single(state, conf);
    if is_single || list.loads_only_inlined() || !is_directory_name(list.name()) {
        let path = paths.conf(&conf.name);
        return Err(Refusal::DropInsUnsupported { path });
    }
    let path = paths.drop_in(list.name());
    let text = text_of(&settings.entry.chained());
    let existing = state.drop_in(list.name());
    if existing == Some(&text[..]) {
        plan.notes.push(Note::EntryInPlace { path });
    } else {
        plan.steps.push(Step::WriteList {
            path,
            text,
            was: existing.map(<[u8]>::to_vec),
            access: Access::Like(paths.conf(&conf.name)),
            edit: Edit::DropIn,
        });
    }
    note_stale_copy(paths, state, conf, list.name(), plan);
    // Until the next step the plugin may be called twice for a pod, which is harmless. In the other
    // order it might not be called at all.
    remove_entries(paths, state, None, plan);
    remove_copies(paths, state, None, plan);
    remove_drop_ins(paths, state, Some(list.name()), plan);
    Ok(())
}

/// Whether this list was converted from a single plugin's file, which is restored with our entry's
/// removal.
fn was_single(state: &NodeState, conf: &ConfFile) -> bool {
    conf.name
        .as_singles()
        .iter()
        .any(|single| state.saved(single).is_some())
}

fn text_of(entry: &Value) -> Vec<u8> {
    format!("{entry:#}\n").into_bytes()
}

/// Whether the network's name, which is also the directory's, is valid for every runtime.
fn is_directory_name(network: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    network.starts_with(|c: char| c.is_ascii_alphanumeric()) && network.chars().all(inner)
}
