//! Kernel access for repair: the rules in a pod's network namespace are observed, applied and read
//! back.

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;

use mesh_cni_netfilter::{Drift, Family, RuleSet, drift_all, only_ours};
use mesh_cni_netns::{
    Applied, ApplyError, Backend, BackendChoice, EnterError, NetNs, ProcessError, ProcessTable,
    ReadError, Xtables, apply, holds_legacy_tables, read,
};
use mesh_cni_rules::OWNERSHIP;
use thiserror::Error;

use super::diagnosis::ObservedRules;
use crate::kube::pod::Pod;

/// Why the rules of a pod were not observed or applied.
#[derive(Debug, Error)]
pub(super) enum NamespaceError {
    /// The namespace was not found through a process of the pod.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The process is in another namespace than the pod's addresses.
    #[error("none of the pod's addresses is in the namespace of its process: {}", join(.0))]
    OtherNetwork(Vec<IpAddr>),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The rules cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rules may exist in `x_tables`, which only these programs read.
    #[error("iptables-legacy tables exist, and the programs that read them are not installed here")]
    Legacy,
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
            Self::Process(ProcessError::NotFound | ProcessError::Ended)
        )
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Process(ProcessError::NotFound) => {
                "the agent retries when its containers start; if this happens to every pod, mount \
                 the host's /proc and set --proc-dir to it"
            }
            Self::Process(ProcessError::Ended) => "nothing to do: the agent retries",
            Self::Process(ProcessError::HostNetwork) | Self::OtherNetwork(_) => {
                "delete the pod, so that it gets a new sandbox"
            }
            Self::Process(_) => "give the agent CAP_SYS_PTRACE",
            Self::Enter(_) => "run the agent as root, with CAP_SYS_ADMIN",
            Self::Read(_) | Self::Legacy | Self::Drift(_) => {
                "delete the pod, so that it starts with the plugin"
            }
            Self::Apply(_) => "give the agent CAP_NET_ADMIN, and see `backend` in docs/errors.md",
        }
    }
}

/// Access to the network namespaces of pods. Its functions block.
pub(crate) struct PodNamespaces {
    xtables: Xtables,
    /// The directory where the processes of the node are visible.
    pub(super) proc: PathBuf,
}

impl PodNamespaces {
    pub(crate) fn new(proc: PathBuf) -> Self {
        Self {
            xtables: Xtables::search(std::env::var_os("PATH").as_deref()),
            proc,
        }
    }

    /// Compares the rules in the pod's namespace with the expected ones.
    pub(super) fn observe(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        expected: &[RuleSet],
    ) -> ObservedRules {
        self.try_observe(processes, pod, expected)
            .unwrap_or_else(|error| ObservedRules::Unreadable(crate::error_chain(&error)))
    }

    fn try_observe(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        expected: &[RuleSet],
    ) -> Result<ObservedRules, NamespaceError> {
        let netns = open(processes, pod)?;
        let live = self.read(&netns)?;
        Ok(match drift_all(expected, &live, &OWNERSHIP) {
            None => ObservedRules::AsExpected,
            Some(_) if live.iter().all(has_none_of_ours) => {
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
        expected: &[RuleSet],
        backend: BackendChoice,
    ) -> Result<Applied, NamespaceError> {
        let netns = open(processes, pod)?;
        let applied = apply(&netns, &self.xtables, backend, expected)?;
        match drift_all(expected, &self.read(&netns)?, &OWNERSHIP) {
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

/// Opens the namespace of the pod, which must have one of the pod's addresses.
fn open(processes: &ProcessTable, pod: &Pod) -> Result<NetNs, NamespaceError> {
    let (netns, _process) = processes.open_netns(|process| pod.has(process))?;
    let addresses = pod.addresses();
    if !netns.run(|| addresses.iter().any(|address| is_local(*address)))? {
        return Err(NamespaceError::OtherNetwork(addresses.to_vec()));
    }
    Ok(netns)
}

/// Whether an interface in the calling thread's namespace has that address.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn has_none_of_ours(rules: &RuleSet) -> bool {
    let ours = only_ours(rules, &OWNERSHIP);
    ours.tables.is_empty() && ours.routing.is_none()
}

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}
