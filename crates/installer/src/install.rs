//! Which steps lead to an installed node: the binary first, then the list that names it.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{Change, ConfList};
use serde_json::{Value, json};

use crate::found::same;
use crate::{
    Access, Binary, Chaining, ConfFile, ConfKind, ConfName, Directory, Edit, Found, NodePaths,
    Note, Plan, Refusal, Settings, Step,
};

/// The version that our own list asks for: the oldest one whose runtimes all call CHECK and pass
/// results of today's shape.
const OWN_CNI_VERSION: &str = "1.0.0";

/// Says what is to be done so that the node has the binary and exactly one entry.
pub fn plan_install(settings: &Settings, found: &Found) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    let leftovers = found.leftovers.iter().cloned();
    plan.steps
        .extend(leftovers.map(|path| Step::RemoveLeftover { path }));
    place_binary(settings, found, &mut plan)?;
    if found.conf_dir == Directory::Missing {
        let path = settings.paths.conf_dir.clone();
        return Err(Refusal::NoConfDir { path });
    }
    match settings.chaining {
        Chaining::Chained => chain(settings, found, &mut plan)?,
        Chaining::StandAlone => stand_alone(settings, found, &mut plan)?,
    }
    Ok(plan)
}

/// The configuration to chain into: the one that was named, or the runtime's own choice.
pub(crate) fn choose<'a>(
    paths: &NodePaths,
    wanted: Option<&ConfName>,
    found: &'a Found,
) -> Result<&'a ConfFile, Refusal> {
    let Some(name) = wanted else {
        let path = paths.conf_dir.clone();
        return found.confs.first().ok_or(Refusal::NoConf { path });
    };
    // A single plugin's file that was named may have become a list before.
    let conf = found.conf(name).or_else(|| found.conf(&name.as_list()));
    let path = paths.conf(name);
    conf.ok_or(Refusal::NoSuchConf { path })
}

fn place_binary(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    if found.bin_dir == Directory::Missing {
        let path = settings.paths.bin_dir.clone();
        return Err(Refusal::NoBinDir { path });
    }
    let path = settings.paths.binary();
    if found.binary == Binary::Ready {
        plan.notes.push(Note::BinaryInPlace { path });
    } else {
        let from = settings.plugin_binary.clone();
        plan.steps.push(Step::WriteBinary { from, path });
    }
    Ok(())
}

fn chain(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let conf = choose(paths, settings.conf_name.as_ref(), found)?;
    let path = paths.conf(&conf.name);
    let mut list = conf.list().map_err(|source| {
        let path = path.clone();
        Refusal::Unreadable { path, source }
    })?;
    let first_is_ours = list.plugins().first().is_some_and(is_ours);
    if first_is_ours {
        // The first plugin has nobody's result to pass on: ours goes to the end then.
        list.remove(PLUGIN_TYPE);
    }
    if list.plugins().is_empty() {
        return Err(Refusal::NothingToChain { path });
    }
    let change = set(&mut list, settings.entry.chained());
    match conf.name.kind() {
        ConfKind::Single => return convert(paths, found, conf, &list, plan),
        ConfKind::List if change.is_change() => plan.steps.push(Step::WriteList {
            text: list.to_text(),
            was: Some(conf.text.clone()),
            access: Access::Of(path.clone()),
            edit: if change == Change::Replaced || first_is_ours {
                Edit::Replaced
            } else {
                Edit::Appended
            },
            path,
        }),
        ConfKind::List => plan.notes.push(Note::EntryInPlace { path }),
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

fn stand_alone(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
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

fn set(list: &mut ConfList, entry: Value) -> Change {
    list.set_chained(entry)
        .expect("an entry of ours has its type")
}

pub(crate) fn is_ours(plugin: &Value) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(PLUGIN_TYPE)
}
