//! The live rules of a pod: read through one of its processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_netfilter::{Family, RuleSet};
use mesh_cni_netns::{BackendChoice, ProcessError, ProcessTable, Xtables, read as read_rules};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error_chain;
use crate::kube::store::PodStore;
use crate::pod_netns::{self, PodNetnsError};
use mesh_cni_kube::pod::Pod;

/// The time limit for reading, which may start programs of the host.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How many reads run at a time. Each reads the node's whole process table.
const READS: usize = 2;

/// The live rules of a pod, or in one sentence why they cannot be read.
pub(crate) type LiveRules = Result<Vec<RuleSet>, String>;

/// Reads the live rules of a few pods at a time.
pub(crate) struct LiveRulesReader {
    /// The directory where the processes of the node are visible.
    proc: PathBuf,
    free: Arc<Semaphore>,
}

impl LiveRulesReader {
    pub(crate) fn new(proc: PathBuf) -> Self {
        Self {
            proc,
            free: Arc::new(Semaphore::new(READS)),
        }
    }

    /// The live rules of a pod; `None` while too many others are being read. A read that takes too
    /// long counts until it ends.
    pub(crate) async fn read(&self, store: &Arc<PodStore>, pod: &Arc<Pod>) -> Option<LiveRules> {
        let free = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let (proc, store, pod) = (self.proc.clone(), Arc::clone(store), Arc::clone(pod));
        let reading = spawn_blocking(move || {
            let rules = read_blocking(&proc, &store, &pod);
            drop(free);
            rules
        });
        Some(match timeout(TIMEOUT, reading).await {
            Ok(Ok(rules)) => rules,
            Ok(Err(error)) => Err(error_chain(&error)),
            Err(_elapsed) => Err("Reading the live rules takes too long.".to_owned()),
        })
    }
}

fn read_blocking(proc: &Path, store: &PodStore, pod: &Pod) -> LiveRules {
    let processes = ProcessTable::read(proc).unwrap_or_default();
    let netns = pod_netns::open(&processes, pod, store).map_err(|error| match error {
        PodNetnsError::Process(ProcessError::NotFound) => {
            "No process of the pod is visible, so its live rules cannot be read.".to_owned()
        }
        PodNetnsError::Process(ProcessError::HostNetwork) => {
            "The pod is on the node's network, which has no rules of ours.".to_owned()
        }
        error => error_chain(&error),
    })?;
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    read_rules(&netns, &xtables, BackendChoice::Auto, &Family::ALL)
        .map(|found| found.rule_sets)
        .map_err(|error| error_chain(&error))
}
