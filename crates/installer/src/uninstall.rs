//! Which steps lead to a node without us: the lists first, then the binary that they named.

mod remains;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;

use crate::found::{COPY_OF, same};
use crate::{
    Access, ConfFile, ConfKind, Edit, Found, Leaving, NodePaths, Note, Plan, Refusal, Step, istio,
};

/// Says what is to be done so that no list names the plugin, what was converted is back, and the
/// binary is gone.
pub fn plan_uninstall(
    paths: &NodePaths,
    found: &Found,
    leaving: &Leaving,
) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    if leaving.restore_istio_cni && !found.confs.iter().any(remembers_istio) {
        plan.notes.push(Note::NothingToGiveBack);
    }
    for conf in &found.confs {
        leave_conf(paths, found, conf, leaving, &mut plan)?;
    }
    settle_saved(paths, found, &mut plan);
    remains::leave_drop_ins(paths, found, &mut plan);
    if !plan.steps.is_empty() && !leaving.grace.is_zero() && remains::are_there(found, leaving) {
        plan.steps.push(Step::AwaitReload {
            pause: leaving.grace,
        });
    }
    remains::leave_run_dir(paths, found, &mut plan);
    remains::leave_binary(paths, found, leaving, &mut plan);
    let leftovers = found.leftovers.iter().cloned();
    plan.steps
        .extend(leftovers.map(|path| Step::RemoveLeftover { path }));
    if plan.steps.is_empty() && plan.notes.is_empty() {
        plan.notes.push(Note::NothingInstalled);
    }
    Ok(plan)
}

fn remembers_istio(conf: &ConfFile) -> bool {
    conf.list().is_ok_and(|list| istio::was_replaced(&list))
}

fn leave_conf(
    paths: &NodePaths,
    found: &Found,
    conf: &ConfFile,
    leaving: &Leaving,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let path = paths.conf(&conf.name);
    let mut list = match conf.list() {
        Ok(list) => list,
        Err(source) if conf.text.contains(PLUGIN_TYPE) => {
            return Err(Refusal::Uneditable { path, source });
        }
        Err(_) => {
            plan.notes.push(Note::PassedOver { path });
            return Ok(());
        }
    };
    if list.field(COPY_OF).is_some() {
        let was = conf.text.clone();
        plan.steps.push(Step::RemoveList { path, was });
        return Ok(());
    }
    if leaving.restore_istio_cni && istio::was_replaced(&list) {
        plan.steps.push(give_back(paths, found, conf, list)?);
        return Ok(());
    }
    let removed = list.remove(PLUGIN_TYPE).is_change();
    if istio::forget(&mut list) || removed {
        plan.steps.extend(without_us(paths, found, conf, &list));
    }
    Ok(())
}

/// The list with Istio CNI's entry in the place of ours.
fn give_back(
    paths: &NodePaths,
    found: &Found,
    conf: &ConfFile,
    mut list: ConfList,
) -> Result<Step, Refusal> {
    let path = paths.conf(&conf.name);
    if !found.istio_binary {
        return Err(Refusal::IstioCniGone { path });
    }
    istio::give_back(&mut list);
    Ok(Step::WriteList {
        text: list.to_text(),
        was: Some(conf.text.clone()),
        access: Access::Of(path.clone()),
        edit: Edit::GaveBack,
        path,
    })
}

/// What becomes of a file whose list is this one without our entry.
pub(crate) fn without_us(
    paths: &NodePaths,
    found: &Found,
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
    match origin(paths, found, conf, rest) {
        Origin::Standing => vec![remove],
        // The single plugin's file comes first: a runtime always finds one of the two.
        Origin::SetAside(put_back) => vec![put_back, remove],
        Origin::Own => vec![Step::WriteList {
            text: rest.to_text(),
            was: Some(was),
            access: Access::Of(path.clone()),
            edit: Edit::Removed,
            path,
        }],
    }
}

/// Where a list, looked at without our entry, comes from.
enum Origin {
    /// It was a list from the beginning, or others have changed it since.
    Own,
    /// From a single plugin's file that is set aside, and that this step brings back.
    SetAside(Step),
    /// From a single plugin's file that stands beside it.
    Standing,
}

fn origin(paths: &NodePaths, found: &Found, conf: &ConfFile, rest: &ConfList) -> Origin {
    if conf.name.kind() == ConfKind::Single {
        return Origin::Own;
    }
    for single in conf.name.as_singles() {
        let says_rest = |file: &ConfFile| file.list().is_ok_and(|list| same(&list, rest));
        let (standing, saved) = (found.conf(&single), found.saved(&single));
        let from_saved = saved.is_some_and(says_rest);
        match standing {
            Some(standing) if from_saved || says_rest(standing) => return Origin::Standing,
            None if from_saved => {
                return Origin::SetAside(Step::PutBack {
                    from: paths.saved(&single),
                    to: paths.conf(&single),
                });
            }
            _ => {}
        }
    }
    Origin::Own
}

/// What is set aside and not brought back goes where its place is taken, and stays otherwise: it
/// may be the only copy, and bringing it back could change the node's network.
fn settle_saved(paths: &NodePaths, found: &Found, plan: &mut Plan) {
    for saved in &found.saved {
        let path = paths.saved(&saved.name);
        let brought_back =
            |step: &Step| matches!(step, Step::PutBack { from, .. } if *from == path);
        if plan.steps.iter().any(brought_back) {
            continue;
        }
        if found.conf(&saved.name).is_some() {
            plan.steps.push(Step::DiscardSaved { path });
        } else {
            plan.notes.push(Note::SavedKept { path });
        }
    }
}
