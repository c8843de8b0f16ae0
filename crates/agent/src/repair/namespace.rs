//! The hands of repair: the rules of a pod's namespace are seen, made, and read back.

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{Drift, RuleSet, drift, only_ours};
use mesh_cni_netns::{
    Applied, ApplyError, BackendChoice, EnterError, NetNs, ProcessError, ProcessTable, ReadError,
    Xtables, apply, holds_legacy_tables, read,
};
use mesh_cni_rules::OWNERSHIP;
use thiserror::Error;

use super::diagnosis::Rules;
use crate::kube::pod::Pod;

/// Why a namespace was not programmed.
#[derive(Debug, Error)]
pub(super) enum NamespaceError {
    /// No process of the pod leads to it.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It is another namespace than the API server tells of.
    #[error("none of the pod's addresses is in the namespace of its process: {}", join(.0))]
    OtherNetwork(Vec<IpAddr>),
    /// It cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Its rules cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nobody can say whether rules stand in `x_tables`.
    #[error("iptables-legacy has tables there, and its programs, which read them, are not here")]
    Legacy,
    /// The rules cannot be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// They were written, and do not stand.
    #[error("the rules were written, and are not as they should be: {0}")]
    Drift(Box<Drift>),
}

impl NamespaceError {
    /// Whether it may be otherwise as soon as the pod's containers do something.
    pub(super) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Process(ProcessError::NotFound | ProcessError::Ended)
        )
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Process(ProcessError::NotFound) => {
                "it is tried again when its containers start; where none of any pod is ever seen, \
                 mount the host's /proc and name it with --proc-dir"
            }
            Self::Process(ProcessError::Ended) => "nothing: it is tried again",
            Self::Process(ProcessError::HostNetwork) | Self::OtherNetwork(_) => {
                "delete the pod, so that it starts anew"
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

/// What one call works with.
pub(crate) struct Hands {
    xtables: Xtables,
    /// Where processes of the node are seen.
    pub(super) proc: PathBuf,
}

impl Hands {
    pub(crate) fn new(proc: PathBuf) -> Self {
        Self {
            xtables: Xtables::search(std::env::var_os("PATH").as_deref()),
            proc,
        }
    }

    /// What stands in the pod's namespace, held against what is wanted.
    pub(super) fn see(&self, processes: &ProcessTable, pod: &Pod, wanted: &[RuleSet]) -> Rules {
        match self.rules(processes, pod, wanted) {
            Ok(rules) => rules,
            Err(error) => Rules::Unseen(crate::one_line(&error)),
        }
    }

    fn rules(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        wanted: &[RuleSet],
    ) -> Result<Rules, NamespaceError> {
        let netns = self.open(processes, pod)?;
        let found = self.found(&netns)?;
        Ok(match difference(wanted, &found) {
            None => Rules::Whole,
            Some(_) if found.iter().all(is_bare) => {
                self.rule_legacy_out(&netns)?;
                Rules::Missing
            }
            Some(difference) => Rules::Other(difference.to_string()),
        })
    }

    /// Makes the wanted rules stand, and reads them back.
    pub(super) fn mend(
        &self,
        processes: &ProcessTable,
        pod: &Pod,
        wanted: &[RuleSet],
        choice: BackendChoice,
    ) -> Result<Applied, NamespaceError> {
        let netns = self.open(processes, pod)?;
        let applied = apply(&netns, &self.xtables, choice, wanted)?;
        match difference(wanted, &self.found(&netns)?) {
            None => Ok(applied),
            Some(drift) => Err(NamespaceError::Drift(Box::new(drift))),
        }
    }

    /// The namespace of the pod, and certainly of no other.
    fn open(&self, processes: &ProcessTable, pod: &Pod) -> Result<NetNs, NamespaceError> {
        let (netns, _process) = processes.open_netns(|process| pod.has(process))?;
        let addresses = addresses(pod);
        if !netns.run(|| addresses.iter().any(|address| is_here(*address)))? {
            return Err(NamespaceError::OtherNetwork(addresses));
        }
        Ok(netns)
    }

    /// Every family, since a family that is not wanted must be empty.
    fn found(&self, netns: &NetNs) -> Result<Vec<RuleSet>, NamespaceError> {
        let families = [Family::V4, Family::V6];
        let found = read(netns, &self.xtables, BackendChoice::Auto, &families)?;
        Ok(found.rule_sets)
    }

    /// Where its programs are, what they read has been seen.
    fn rule_legacy_out(&self, netns: &NetNs) -> Result<(), NamespaceError> {
        if !holds_legacy_tables(netns)? {
            return Ok(());
        }
        let only = BackendChoice::Only(mesh_cni_netns::Backend::IptablesLegacy);
        let legacy = read(netns, &self.xtables, only, &[Family::V4, Family::V6]);
        legacy.map(drop).map_err(|_unread| NamespaceError::Legacy)
    }
}

/// The first difference; a family that is not wanted must hold nothing of ours.
fn difference(wanted: &[RuleSet], found: &[RuleSet]) -> Option<Drift> {
    found.iter().find_map(|found| {
        let wanted = wanted.iter().find(|wanted| wanted.family == found.family);
        match wanted {
            Some(wanted) => drift(wanted, found, &OWNERSHIP),
            None => drift(&RuleSet::new(found.family), found, &OWNERSHIP),
        }
    })
}

fn is_bare(rules: &RuleSet) -> bool {
    let ours = only_ours(rules, &OWNERSHIP);
    ours.tables.is_empty() && ours.routing.is_none()
}

fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let addresses = pod.addresses.iter();
    addresses
        .filter_map(|address| address.parse().ok())
        .collect()
}

/// Whether an interface of the calling thread's namespace has that address.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

impl Rules {
    /// Whether they were seen.
    pub(super) fn are_seen(&self) -> bool {
        !matches!(self, Self::Unseen(_))
    }
}
