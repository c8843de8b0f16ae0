//! A file in the directory of the network, whose plugins newer runtimes append to the list.

use mesh_cni_spec::ConfList;
use serde_json::Value;

use super::{choose, leave_copies, leave_drop_ins, leave_list, read, refuse_istio};
use crate::{Access, ConfFile, ConfKind, Edit, Found, Note, Plan, Refusal, Settings, Step};

pub(super) fn drop_in(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let conf = choose(paths, settings.conf_name.as_ref(), found)?;
    let list = read(paths, conf)?;
    refuse_istio(paths, conf, &list)?;
    let is_single = conf.name.kind() == ConfKind::Single || was_single(found, conf);
    if is_single || is_closed(&list) || !is_directory_name(list.name()) {
        let path = paths.conf(&conf.name);
        return Err(Refusal::NoDropIns { path });
    }
    let path = paths.drop_in(list.name());
    let text = text_of(&settings.entry.chained());
    let standing = found.drop_in(list.name());
    if standing == Some(text.as_str()) {
        plan.notes.push(Note::EntryInPlace { path });
    } else {
        plan.steps.push(Step::WriteList {
            path,
            text,
            was: standing.map(str::to_owned),
            access: Access::Of(paths.conf(&conf.name)),
            edit: Edit::DroppedIn,
        });
    }
    // In between the plugin may be called twice for a pod, which changes nothing; the other way
    // round it might not be called at all.
    leave_list(paths, found, conf, plan);
    leave_copies(paths, found, None, plan);
    leave_drop_ins(paths, found, Some(list.name()), plan);
    Ok(())
}

/// Have we made this list of a single plugin's file, which comes back when our entry goes?
fn was_single(found: &Found, conf: &ConfFile) -> bool {
    let mut singles = conf.name.as_singles().into_iter();
    singles.any(|single| found.saved(&single).is_some())
}

fn text_of(entry: &Value) -> String {
    format!("{entry:#}\n")
}

/// Does the list ask its runtime not to append anything?
fn is_closed(list: &ConfList) -> bool {
    let field = list.field("loadOnlyInlinedPlugins");
    field.is_some_and(|value| value.as_bool() == Some(true) || value.as_str() == Some("true"))
}

/// Network names are this narrow for every runtime, and the name becomes a directory's.
fn is_directory_name(network: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    network.starts_with(|c: char| c.is_ascii_alphanumeric()) && network.chars().all(inner)
}
