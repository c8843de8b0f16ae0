//! Kernel access for repair, the page and the list of pods: the rules in a pod's network namespace are observed, applied and read
//! back.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_cni_netfilter::{Drift, Family, RuleSet, only_ours};
use mesh_cni_netns::{
    Applied, ApplyError, Backend, BackendChoice, EnterError, NetNs, ProcessError, ProcessTable,
    ReadError, Xtables, apply, holds_legacy_tables, read,
};
use mesh_cni_plan::ExpectedRules;
use thiserror::Error;

use super::diagnosis::ObservedRules;
use crate::kube::store::PodStore;
use crate::live_rules::LiveRules;
use crate::other_meshes::OtherMeshes;
use crate::pod_netns::{self, PodNetnsError};
use mesh_cni_kube::pod::Pod;

/// Why the rules of a pod were not observed or applied.
#[derive(Debug, Error)]
pub(super) enum NamespaceError {
    /// The namespace was not opened.
    #[error(transparent)]
    Netns(#[from] PodNetnsError),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The rules cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rules may exist in `x_tables`, which only these programs read.
    #[error("iptables-legacy tables exist, and the programs that read them are not installed here")]
    Legacy,
    /// The pod is not redirected.
    #[error("the pod should have no rules")]
    NoRules,
    /// The rules cannot be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The applied rules are not the expected ones.
    #[error("the rules were applied, but are not as expected: {0}")]
    Drift(Box<Drift>),
}

impl NamespaceError {
    /// Whether it may work when the pod's containers start.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Netns(
                PodNetnsError::Process(ProcessError::NotFound | ProcessError::Ended)
                    | PodNetnsError::NoAddress
            )
        )
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Netns(error) => netns_remedy(error),
            Self::Enter(_) => AS_ROOT,
            Self::NoRules => "nothing to do: the pod is not redirected",
            Self::Read(_) | Self::Legacy | Self::Drift(_) => WITH_PLUGIN,
            Self::Apply(_) => "give the agent CAP_NET_ADMIN, and see `backend` in docs/errors.md",
        }
    }
}

const AS_ROOT: &str = "run the agent as root, with CAP_SYS_ADMIN";
const WITH_PLUGIN: &str = "delete the pod, so that it starts with the plugin";

pub(crate) fn netns_remedy(error: &PodNetnsError) -> &'static str {
    match error {
        PodNetnsError::Process(ProcessError::NotFound) => {
            "the agent retries when its containers start; if this happens to every pod, mount the \
             host's /proc and set --proc-dir to it"
        }
        PodNetnsError::Process(ProcessError::Ended) => "nothing to do: the agent retries",
        PodNetnsError::NoAddress => "nothing to do: the agent retries when the pod has an address",
        PodNetnsError::Process(ProcessError::HostNetwork) | PodNetnsError::OtherNetwork(_) => {
            "delete the pod, so that it gets a new sandbox"
        }
        PodNetnsError::Process(ProcessError::CreatedByPod | ProcessError::Ambiguous) => WITH_PLUGIN,
        PodNetnsError::Process(ProcessError::Owner(_)) => {
            "run the agent as root, in the user namespace of the node"
        }
        PodNetnsError::Process(_) => "give the agent CAP_SYS_PTRACE",
        PodNetnsError::Enter(_) | PodNetnsError::Addresses(_) => AS_ROOT,
    }
}

/// Access to the network namespaces of pods. Its functions block.
pub(crate) struct PodNamespaces {
    xtables: Xtables,
    store: Arc<PodStore>,
    pub(crate) other_meshes: OtherMeshes,
    /// The directory where the processes of the node are visible.
    proc: PathBuf,
}

impl PodNamespaces {
    pub(crate) fn new(proc: PathBuf, store: Arc<PodStore>, other_meshes: OtherMeshes) -> Self {
        Self {
            xtables: Xtables::search(std::env::var_os("PATH").as_deref()),
            other_meshes,
            store,
            proc,
        }
    }

    /// The container processes of the node; none if they cannot be read.
    pub(crate) fn processes(&self) -> ProcessTable {
        ProcessTable::read(&self.proc).unwrap_or_default()
    }

    /// Whether one of these processes is the pod's.
    pub(crate) fn is_visible(&self, processes: &ProcessTable, pod: &Pod) -> bool {
        pod_netns::is_visible(processes, pod, &self.store)
    }

    /// Opens the network namespace of the pod.
    pub(crate) fn open(&self, processes: &ProcessTable, pod: &Pod) -> Result<NetNs, PodNetnsError> {
        pod_netns::open(processes, pod, &self.store)
    }

    /// The live rules of a pod, or in one sentence why they cannot be read.
    pub(crate) fn live_rules(&self, pod: &Pod) -> LiveRules {
        let live = pod_netns::open(&self.processes(), pod, &self.store)
            .map_err(NamespaceError::from)
            .and_then(|netns| self.read(&netns));
        live.map_err(|error| match error {
            NamespaceError::Netns(PodNetnsError::Process(ProcessError::NotFound)) => {
                "No process of the pod is visible, so its live rules cannot be read.".to_owned()
            }
            NamespaceError::Netns(PodNetnsError::Process(ProcessError::HostNetwork)) => {
                "The pod is on the node's network, which has no rules of ours.".to_owned()
            }
            error => crate::error_chain(&error),
        })
    }

    /// Compares the rules in the pod's namespace with the expected ones.
    pub(crate) fn observe(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        expected: &ExpectedRules,
    ) -> ObservedRules {
        self.try_observe(processes, pod, expected)
            .unwrap_or_else(|error| ObservedRules::Unreadable(crate::error_chain(&error)))
    }

    fn try_observe(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        expected: &ExpectedRules,
    ) -> Result<ObservedRules, NamespaceError> {
        let netns = pod_netns::open(processes, pod, &self.store)?;
        let live = self.read(&netns)?;
        let others = expected.other_meshes(&live);
        self.other_meshes.found(&pod.name, &pod.uid, others);
        Ok(match expected.drift(&live) {
            None => ObservedRules::AsExpected,
            Some(_) if live.iter().all(|rules| has_none_of_ours(rules, expected)) => {
                self.exclude_legacy_rules(&netns)?;
                ObservedRules::Missing
            }
            Some(difference) => ObservedRules::Different(difference.to_string()),
        })
    }

    /// Applies the expected rules and reads them back.
    pub(super) fn repair(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        expected: &ExpectedRules,
        backend: BackendChoice,
    ) -> Result<Applied, NamespaceError> {
        let mesh = expected.mesh.ok_or(NamespaceError::NoRules)?;
        let netns = pod_netns::open(processes, pod, &self.store)?;
        let rule_sets = &expected.rule_sets;
        let applied = apply(&netns, &self.xtables, backend, mesh, rule_sets)?;
        match expected.drift(&self.read(&netns)?) {
            None => Ok(applied),
            Some(drift) => Err(NamespaceError::Drift(Box::new(drift))),
        }
    }

    fn read(&self, netns: &NetNs) -> Result<Vec<RuleSet>, NamespaceError> {
        Ok(read(netns, &self.xtables, BackendChoice::Auto, &Family::ALL)?.rule_sets)
    }

    /// Fails if `iptables-legacy` tables exist that cannot be read. If its programs are installed,
    /// they have been read already.
    fn exclude_legacy_rules(&self, netns: &NetNs) -> Result<(), NamespaceError> {
        let legacy = BackendChoice::Only(Backend::IptablesLegacy);
        if holds_legacy_tables(netns)? && read(netns, &self.xtables, legacy, &Family::ALL).is_err()
        {
            return Err(NamespaceError::Legacy);
        }
        Ok(())
    }
}

fn has_none_of_ours(rules: &RuleSet, expected: &ExpectedRules) -> bool {
    let ours = only_ours(rules, expected.ownership());
    ours.tables.is_empty() && ours.routing.is_none()
}
