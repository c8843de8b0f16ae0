//! The rules that stand in a pod's namespace now, read through one of its processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, ProcessError, ProcessTable, Xtables, read};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::kube::pod::Pod;

/// How long reading may take: programs of the host may be started for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads them, or says in one phrase why not.
pub(crate) async fn rules(proc: PathBuf, pod: Arc<Pod>) -> Result<Vec<RuleSet>, String> {
    match timeout(PATIENCE, spawn_blocking(move || here(&proc, &pod))).await {
        Ok(Ok(rules)) => rules,
        Ok(Err(error)) => Err(crate::one_line(&error)),
        Err(_) => Err("Reading the rules takes too long.".into()),
    }
}

fn here(proc: &Path, pod: &Pod) -> Result<Vec<RuleSet>, String> {
    let processes = ProcessTable::read(proc).unwrap_or_default();
    let opened = processes.open_netns(|process| pod.has(process));
    let (netns, _process) = opened.map_err(|error| match error {
        ProcessError::NotFound => {
            "No process of the pod is seen from here, so its rules cannot be read.".to_owned()
        }
        ProcessError::HostNetwork => {
            "The pod is on the node's own network, which has no rules of ours.".to_owned()
        }
        error => crate::one_line(&error),
    })?;
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let families = [Family::V4, Family::V6];
    let found = read(&netns, &xtables, BackendChoice::Auto, &families);
    found
        .map(|found| found.rule_sets)
        .map_err(|error| crate::one_line(&error))
}
