//! Being the last plugin of the network's own list.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{Change, ConfList};

use super::{choose, is_ours, leave_copies, leave_drop_ins, read, set};
use crate::{
    Access, ConfFile, ConfKind, Edit, Found, NodePaths, Note, Plan, Refusal, Settings, Step, istio,
};

pub(super) fn chain(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let conf = choose(paths, settings.conf_name.as_ref(), found)?;
    let mut list = read(paths, conf)?;
    let edit = put_in(settings, conf, &mut list)?;
    let path = paths.conf(&conf.name);
    match (conf.name.kind(), edit) {
        (ConfKind::Single, _) => convert(paths, found, conf, &list, plan)?,
        (ConfKind::List, None) => plan.notes.push(Note::EntryInPlace { path }),
        (ConfKind::List, Some(edit)) => plan.steps.push(Step::WriteList {
            text: list.to_text(),
            was: Some(conf.text.clone()),
            access: Access::Of(path.clone()),
            edit,
            path,
        }),
    }
    leave_copies(paths, found, None, plan);
    leave_drop_ins(paths, found, None, plan);
    Ok(())
}

/// Puts the entry into a list, and says what is new in it; `None` if it was as it should be.
pub(super) fn put_in(
    settings: &Settings,
    conf: &ConfFile,
    list: &mut ConfList,
) -> Result<Option<Edit>, Refusal> {
    let path = || settings.paths.conf(&conf.name);
    let theirs = istio::entry_of(list);
    let entry = match &theirs {
        None => settings.entry.clone(),
        Some(theirs) => settings.entry.with_defaults(istio::translated(theirs)),
    };
    if istio::is_in(list) {
        if !settings.replace_istio_cni {
            return Err(Refusal::IstioCni { path: path() });
        }
        istio::take_over(list, entry.chained());
        return chainable(list, path).map(|()| Some(Edit::TookOver));
    }
    let first_is_ours = list.plugins().first().is_some_and(is_ours);
    if first_is_ours {
        // The first plugin has nobody's result to pass on: ours goes to the end then.
        list.remove(PLUGIN_TYPE);
    }
    let change = set(list, entry.chained());
    chainable(list, path)?;
    Ok(change.is_change().then_some({
        if change == Change::Replaced || first_is_ours {
            Edit::Replaced
        } else {
            Edit::Appended
        }
    }))
}

/// Is there a plugin before ours?
fn chainable(list: &ConfList, path: impl Fn() -> std::path::PathBuf) -> Result<(), Refusal> {
    if list.plugins().first().is_none_or(is_ours) {
        return Err(Refusal::NothingToChain { path: path() });
    }
    Ok(())
}

/// The list is written first: until its single plugin's file is set aside, a runtime takes one of
/// the two, and either can be loaded.
fn convert(
    paths: &NodePaths,
    found: &Found,
    single: &ConfFile,
    list: &ConfList,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let name = single.name.as_list();
    let (path, from) = (paths.conf(&name), paths.conf(&single.name));
    let standing = found.conf(&name);
    if let Some(standing) = standing
        && !standing.says(list)
        && !is_conversion(standing, single, found)
    {
        return Err(Refusal::Occupied {
            single: from,
            list: path,
        });
    }
    if !standing.is_some_and(|standing| standing.says(list)) {
        plan.steps.push(Step::WriteList {
            path,
            text: list.to_text(),
            was: standing.map(|standing| standing.text.clone()),
            access: Access::Of(from.clone()),
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

/// Did we make this list from the single plugin's file, or from the one that is set aside?
fn is_conversion(standing: &ConfFile, single: &ConfFile, found: &Found) -> bool {
    let Ok(mut list) = standing.list() else {
        return false;
    };
    let had_entry = list.remove(PLUGIN_TYPE).is_change();
    let saved = found.saved(&single.name);
    had_entry && (single.says(&list) || saved.is_some_and(|saved| saved.says(&list)))
}
