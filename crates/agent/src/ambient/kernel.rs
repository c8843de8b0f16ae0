//! What is read and changed in the namespaces of pods and of the node. These functions block.

use std::net::IpAddr;
use std::sync::Arc;

use mesh_cni_kube::pod::Pod;
use mesh_cni_netfilter::Family;
use mesh_cni_netns::{
    ApplyError, BackendChoice, NetNs, NfTablesError, OwnedAddress, SourceTable, Xtables,
    add_source_addresses, apply, ensure_source_table, interface_addresses, read, remove,
    remove_source_addresses, source_addresses,
};
use mesh_cni_plan::ExpectedRules;
use mesh_cni_rules::Mesh;
use thiserror::Error;

use super::records::Record;
use super::step::{Namespace, Part};
use crate::pod_netns::PodNetnsError;
use crate::repair::PodNamespaces;

/// The names of the host table and of its set.
pub(super) const TABLE: &str = "mesh-cni-probes";
pub(super) const SET: &str = "pods";

/// Why a step failed.
#[derive(Debug, Error)]
pub(super) enum KernelError {
    /// The namespace was not found.
    #[error(transparent)]
    Netns(#[from] PodNetnsError),
    /// The rules cannot be read.
    #[error(transparent)]
    Read(#[from] mesh_cni_netns::ReadError),
    /// The rules cannot be written or removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] mesh_cni_netns::EnterError),
    /// Its addresses cannot be read.
    #[error("cannot read the addresses in the pod's network namespace")]
    Addresses(#[source] std::io::Error),
    /// The host rules for probes cannot be changed.
    #[error("cannot change the host rules for probes")]
    Probes(#[source] NfTablesError),
}

/// The kernel of the node.
#[derive(Clone)]
pub(super) struct Kernel {
    pub(super) namespaces: Arc<PodNamespaces>,
    pub(super) xtables: Arc<Xtables>,
    pub(super) backend: BackendChoice,
    tables: Arc<[SourceTable]>,
}

impl Kernel {
    pub(super) fn new(
        namespaces: Arc<PodNamespaces>,
        backend: BackendChoice,
        probe_sources: &[IpAddr],
    ) -> Self {
        let tables = probe_sources
            .iter()
            .map(|source| SourceTable::new(TABLE, SET, *source));
        Self {
            namespaces,
            xtables: Arc::new(Xtables::search(std::env::var_os("PATH").as_deref())),
            backend,
            tables: tables.collect(),
        }
    }

    /// The namespace of the pod, through one of its processes.
    pub(super) fn find(&self, pod: &Pod) -> Result<NetNs, KernelError> {
        let processes = self.namespaces.processes();
        Ok(self.namespaces.open(&processes, pod)?)
    }

    /// Whether the namespace is still that of the pod, and its rules are the expected ones.
    pub(super) fn check(
        &self,
        netns: &NetNs,
        uid: &str,
        record: &Record,
        expected: &ExpectedRules,
    ) -> Result<(Namespace, Part), KernelError> {
        let found = netns
            .run(interface_addresses)?
            .map_err(KernelError::Addresses)?;
        if !record
            .addresses
            .iter()
            .any(|address| found.contains(address))
        {
            return Ok((Namespace::Dead, Part::Unknown));
        }
        let live = read(netns, &self.xtables, BackendChoice::Auto, &Family::ALL)?;
        let others = expected.other_meshes(&live.rule_sets);
        let name = record.pod_name();
        self.namespaces.other_meshes.found(&name, uid, others);
        let rules = match expected.drift(&live.rule_sets) {
            None => Part::Present,
            Some(_) => Part::Missing,
        };
        Ok((Namespace::Alive, rules))
    }

    pub(super) fn write_rules(
        &self,
        netns: &NetNs,
        expected: &ExpectedRules,
    ) -> Result<(), KernelError> {
        let rule_sets = &expected.rule_sets;
        apply(netns, &self.xtables, self.backend, Mesh::Ambient, rule_sets)?;
        Ok(())
    }

    pub(super) fn remove_rules(&self, netns: &NetNs) -> Result<(), KernelError> {
        remove(netns, &self.xtables, self.backend, Mesh::Ambient)?;
        Ok(())
    }

    /// Creates the host rules for probes, or replaces those that differ, and removes addresses of others
    /// than these owners. Returns the rest.
    pub(super) fn refresh_probes(
        &self,
        is_owner: impl Fn(&str) -> bool,
    ) -> Result<Vec<OwnedAddress>, KernelError> {
        let refresh = || {
            let mut found = Vec::new();
            for table in &*self.tables {
                ensure_source_table(table)?;
                remove_source_addresses(table, |address| !is_owner(&address.owner))?;
                found.extend(source_addresses(table)?);
            }
            Ok(found)
        };
        refresh().map_err(KernelError::Probes)
    }

    /// Adds the addresses of the pod to the set for probes.
    pub(super) fn add_probes(&self, uid: &str, record: &Record) -> Result<(), KernelError> {
        let wanted: Vec<_> = record
            .addresses
            .iter()
            .map(|address| owned(uid, *address))
            .collect();
        let add = || {
            self.tables
                .iter()
                .try_for_each(|table| add_source_addresses(table, &wanted))
        };
        let created = || {
            self.tables
                .iter()
                .try_for_each(|table| ensure_source_table(table).map(drop))
        };
        add()
            .or_else(|_no_table| created().and_then(|()| add()))
            .map_err(KernelError::Probes)
    }

    /// Removes the addresses that this pod added last.
    pub(super) fn remove_probes(&self, uid: &str) -> Result<(), KernelError> {
        let remove = |table| remove_source_addresses(table, |address| address.owner == uid);
        self.tables
            .iter()
            .try_for_each(remove)
            .map_err(KernelError::Probes)
    }

    /// The addresses of the pod that belong in the set.
    pub(super) fn probe_addresses(&self, uid: &str, record: &Record) -> Vec<OwnedAddress> {
        let has_table = |address: &&IpAddr| {
            let family = Family::of_address(**address);
            self.tables.iter().any(|table| table.table.family == family)
        };
        let addresses = record.addresses.iter().filter(has_table);
        addresses.map(|address| owned(uid, *address)).collect()
    }
}

fn owned(uid: &str, address: IpAddr) -> OwnedAddress {
    OwnedAddress {
        address,
        owner: uid.to_owned(),
    }
}

impl KernelError {
    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Netns(error) => crate::repair::netns_remedy(error),
            Self::Read(_) | Self::Apply(_) | Self::Probes(_) => {
                "give the agent CAP_NET_ADMIN, and see `backend` in docs/errors.md"
            }
            Self::Enter(_) | Self::Addresses(_) => "run the agent as root, with CAP_SYS_ADMIN",
        }
    }
}
