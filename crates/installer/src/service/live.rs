//! The rules that stand in a pod's namespace now, read through one of its processes.

use std::path::Path;
use std::time::Duration;

use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_rules::RuleSet;
use mesh_cni_rules::ruleset::Family;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::pod::Pod;
use super::process::Processes;

/// How long reading may take: programs of the host may be started for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads them, or says in one phrase why not.
pub(super) async fn rules(proc: &Path, pod: &Pod) -> Result<Vec<RuleSet>, String> {
    let Some(path) = Processes::look(proc).network_of(pod) else {
        return Err("No process of the pod is seen from here, so its rules cannot be read.".into());
    };
    let own = proc.join("self/ns/net");
    let work = spawn_blocking(move || here(&path, &own));
    match timeout(PATIENCE, work).await {
        Ok(Ok(rules)) => rules,
        Ok(Err(error)) => Err(crate::one_line(&error)),
        Err(_) => Err("Reading the rules takes too long.".into()),
    }
}

fn here(path: &Path, own: &Path) -> Result<Vec<RuleSet>, String> {
    let opened = |path| NetNs::open(path).map_err(|error| crate::one_line(&error));
    let netns = opened(path)?;
    if netns.is_same(&opened(own)?) {
        return Err("The pod is on the node's own network, which has no rules of ours.".into());
    }
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let families = [Family::V4, Family::V6];
    let found = read(&netns, &xtables, BackendChoice::Auto, &families);
    found
        .map(|found| found.rule_sets)
        .map_err(|error| crate::one_line(&error))
}
