//! Which steps lead to an installed node: the binary first, then the list that names it.

mod chain;
mod drop_in;
mod own;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{Change, ConfList};
use serde_json::Value;

use crate::uninstall::without_us;
use crate::{
    Binary, Chaining, ConfFile, ConfName, Directory, Found, NodePaths, Note, Plan, Refusal,
    Settings, Step, istio,
};

/// Says what is to be done so that the node has the binary and exactly one entry.
pub fn plan_install(settings: &Settings, found: &Found) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    let leftovers = found.leftovers.iter().cloned();
    plan.steps
        .extend(leftovers.map(|path| Step::RemoveLeftover { path }));
    place_binary(settings, found, &mut plan)?;
    place_kubeconfig(settings, found, &mut plan)?;
    if found.conf_dir == Directory::Missing {
        let path = settings.paths.conf_dir.clone();
        return Err(Refusal::NoConfDir { path });
    }
    match settings.chaining {
        Chaining::Chained => chain::chain(settings, found, &mut plan)?,
        Chaining::StandAlone => own::stand_alone(settings, found, &mut plan)?,
        Chaining::OwnedFirst => own::owned_first(settings, found, &mut plan)?,
        Chaining::DropIn => drop_in::drop_in(settings, found, &mut plan)?,
    }
    if settings.api_server.is_none() && found.kubeconfig.is_some() {
        let path = settings.paths.kubeconfig();
        plan.steps.push(Step::RemoveRunFile { path });
    }
    Ok(plan)
}

/// Says what is to be done at once on a node that [`plan_install`] refuses: where a list names the
/// plugin and its binary is gone, no pod can start, whatever else is wrong.
pub fn plan_rescue(settings: &Settings, found: &Found) -> Plan {
    let mut plan = Plan::default();
    let named = found.confs.iter().any(ConfFile::names_us)
        || found.drop_ins.iter().any(|drop_in| drop_in.text.is_some());
    let usable = found.bin_dir == Directory::Present;
    if named && usable && matches!(found.binary, Binary::Missing | Binary::Mode(_)) {
        plan.steps.push(Step::WriteBinary {
            from: settings.plugin_binary.clone(),
            path: settings.paths.binary(),
        });
    }
    plan
}

/// The configuration to chain into: the one that was named, or the runtime's own choice. Copies of
/// our own are nobody's network.
pub(crate) fn choose<'a>(
    paths: &NodePaths,
    wanted: Option<&ConfName>,
    found: &'a Found,
) -> Result<&'a ConfFile, Refusal> {
    let Some(name) = wanted else {
        let path = paths.conf_dir.clone();
        let mut theirs = found.confs.iter().filter(|conf| !conf.is_copy());
        return theirs.next().ok_or(Refusal::NoConf { path });
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

/// The kubeconfig comes before the list, whose entry names it.
fn place_kubeconfig(settings: &Settings, found: &Found, plan: &mut Plan) -> Result<(), Refusal> {
    let Some(server) = &settings.api_server else {
        return Ok(());
    };
    let path = settings.paths.kubeconfig();
    let account = found.account.as_ref().ok_or(Refusal::NoAccount)?;
    let text = server.kubeconfig(account);
    let standing = found.kubeconfig.as_ref();
    if standing.is_some_and(|standing| standing.mode == 0o600 && standing.text == text) {
        plan.notes.push(Note::KubeconfigInPlace { path });
    } else {
        plan.steps.push(Step::WriteKubeconfig { path, text });
    }
    Ok(())
}

fn read(paths: &NodePaths, conf: &ConfFile) -> Result<ConfList, Refusal> {
    conf.list().map_err(|source| {
        let path = paths.conf(&conf.name);
        Refusal::Unreadable { path, source }
    })
}

/// Refuses a list whose pods Istio CNI programs already.
fn refuse_istio(paths: &NodePaths, conf: &ConfFile, list: &ConfList) -> Result<(), Refusal> {
    if istio::is_in(list) {
        let path = paths.conf(&conf.name);
        return Err(Refusal::IstioCniElsewhere { path });
    }
    Ok(())
}

/// Takes our entry out of the network's own list, once the plugin is called another way; a list
/// that a single plugin's file has become is that file again.
fn leave_list(paths: &NodePaths, found: &Found, conf: &ConfFile, plan: &mut Plan) {
    let became = found.conf(&conf.name.as_list());
    let became = became.filter(|became| became.name != conf.name);
    for conf in [Some(conf), became].into_iter().flatten() {
        let Ok(mut list) = conf.list() else {
            continue;
        };
        if list.remove(PLUGIN_TYPE).is_change() && !list.plugins().is_empty() {
            plan.steps.extend(without_us(paths, found, conf, &list));
        }
    }
}

/// Removes the copies of our own but this one, once they are not what gets pods redirected.
fn leave_copies(paths: &NodePaths, found: &Found, but: Option<&ConfName>, plan: &mut Plan) {
    let copies = found.confs.iter().filter(|conf| conf.is_copy());
    for copy in copies.filter(|copy| Some(&copy.name) != but) {
        plan.steps.push(Step::RemoveList {
            path: paths.conf(&copy.name),
            was: copy.text.clone(),
        });
    }
}

/// Removes our plugin from the directories of networks but this one, once it is called another way.
fn leave_drop_ins(paths: &NodePaths, found: &Found, but: Option<&str>, plan: &mut Plan) {
    for directory in &found.drop_ins {
        let Some(text) = &directory.text else {
            continue;
        };
        if Some(directory.network.as_str()) == but {
            continue;
        }
        plan.steps.push(Step::RemoveList {
            path: paths.drop_in(&directory.network),
            was: text.clone(),
        });
        if !directory.shared {
            plan.steps.push(Step::RemoveDirectory {
                path: paths.drop_in_dir(&directory.network),
            });
        }
    }
}

fn set(list: &mut ConfList, entry: Value) -> Change {
    list.set_chained(entry)
        .expect("an entry of ours has its type")
}

pub(crate) fn is_ours(plugin: &Value) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(PLUGIN_TYPE)
}
