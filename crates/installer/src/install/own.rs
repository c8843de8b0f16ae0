//! Files of our own: a network of the plugin alone, and a copy of the network's list.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;
use serde_json::{Value, json};

use super::chain::put_in;
use super::{choose, is_ours, leave_copies, leave_drop_ins, leave_list, read, refuse_istio, set};
use crate::found::{COPY_OF, same};
use crate::{Access, ConfFile, Edit, Found, Note, Plan, Refusal, Settings, Step};

/// The version that our own list asks for: the oldest one whose runtimes all call CHECK and pass
/// results of today's shape.
const OWN_CNI_VERSION: &str = "1.0.0";

/// A copy of the network's list with our entry, before it in the order of names.
///
/// Where the network's own list is gone, the copy stays: it is all that a runtime has then.
pub(super) fn owned_first(
    settings: &Settings,
    found: &Found,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let name = &settings.owned_name;
    let path = paths.conf(name);
    let standing = found.conf(name);
    if standing.is_some_and(|standing| !standing.is_copy()) {
        return Err(Refusal::NotOurs { path });
    }
    let primary = match (choose(paths, settings.conf_name.as_ref(), found), standing) {
        (Ok(primary), _) => primary,
        (Err(refusal), Some(copy)) if refusal.may_pass() => {
            return renew_copy(settings, copy, plan);
        }
        (Err(refusal), _) => return Err(refusal),
    };
    let earlier = found.confs.iter().find(|conf| !conf.is_copy());
    if let Some(earlier) = earlier.filter(|earlier| earlier.name < *name) {
        let first = paths.conf(&earlier.name);
        return Err(Refusal::NotFirst { path, first });
    }
    let wanted = copy_of(settings, primary)?;
    if standing.is_some_and(|standing| standing.says(&wanted)) {
        plan.notes.push(Note::CopyInStep { path });
    } else {
        let from = paths.conf(&primary.name);
        plan.steps.push(Step::WriteList {
            path,
            text: wanted.to_text(),
            was: standing.map(|standing| standing.text.clone()),
            access: Access::Of(from.clone()),
            edit: Edit::Copied { from },
        });
    }
    leave_list(paths, found, primary, plan);
    leave_copies(paths, found, Some(name), plan);
    leave_drop_ins(paths, found, None, plan);
    Ok(())
}

/// The network's list as we want it, with the mark that it is ours.
fn copy_of(settings: &Settings, primary: &ConfFile) -> Result<ConfList, Refusal> {
    let mut list = read(&settings.paths, primary)?;
    list.remove(PLUGIN_TYPE);
    put_in(settings, primary, &mut list)?;
    list.set_field(COPY_OF, Value::from(primary.name.as_str()))
        .expect("the field is not one of the list's own");
    Ok(list)
}

/// The network's own list is gone: only the entry is kept up to date.
fn renew_copy(settings: &Settings, copy: &ConfFile, plan: &mut Plan) -> Result<(), Refusal> {
    let path = settings.paths.conf(&copy.name);
    let mut list = read(&settings.paths, copy)?;
    plan.notes.push(Note::CopyAlone { path: path.clone() });
    if put_in(settings, copy, &mut list)?.is_some() {
        plan.steps.push(Step::WriteList {
            text: list.to_text(),
            was: Some(copy.text.clone()),
            access: Access::Of(path.clone()),
            edit: Edit::Replaced,
            path,
        });
    }
    Ok(())
}

/// A network of the plugin alone.
pub(super) fn stand_alone(
    settings: &Settings,
    found: &Found,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let primary = choose(&settings.paths, None, found).ok();
    if let Some(primary) = primary
        && let Ok(list) = primary.list()
    {
        refuse_istio(&settings.paths, primary, &list)?;
    }
    place_own(settings, found, plan)?;
    if let Some(primary) = primary.filter(|primary| primary.name != settings.own_conf()) {
        leave_list(&settings.paths, found, primary, plan);
    }
    leave_copies(&settings.paths, found, None, plan);
    leave_drop_ins(&settings.paths, found, None, plan);
    Ok(())
}

fn place_own(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    let name = settings.own_conf();
    let path = settings.paths.conf(&name);
    let wanted = own_list(settings.entry.stand_alone());
    let standing = found.conf(&name);
    let standing_list = match standing.map(ConfFile::list).transpose() {
        Ok(list) => list,
        Err(source) => return Err(Refusal::Unreadable { path, source }),
    };
    match &standing_list {
        Some(list) if !list.plugins().iter().all(is_ours) => Err(Refusal::NotOurs { path }),
        Some(list) if same(list, &wanted) => {
            plan.notes.push(Note::EntryInPlace { path });
            Ok(())
        }
        _ => {
            plan.steps.push(Step::WriteList {
                text: wanted.to_text(),
                was: standing.map(|standing| standing.text.clone()),
                access: standing.map_or(Access::New, |_| Access::Of(path.clone())),
                edit: Edit::Own,
                path,
            });
            Ok(())
        }
    }
}

fn own_list(entry: Value) -> ConfList {
    let empty = json!({"cniVersion": OWN_CNI_VERSION, "name": PLUGIN_TYPE, "plugins": []});
    let mut list = ConfList::parse(&empty.to_string()).expect("it has a name and plugins");
    set(&mut list, entry);
    list
}
