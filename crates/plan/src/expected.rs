//! The rules that a pod should have, to compare with those that it has.

use std::borrow::Cow;

use mesh_cni_netfilter::{Drift, Ownership, RuleSet, drift_all};
use mesh_cni_rules::{difference, other_meshes, ownership, ownership_of};
use mesh_cni_selector::{Mesh, MeshSet};

use crate::decide::Redirection;
use crate::mesh_conf::MeshConf;

/// The rules that a pod should have; none for a pod that is not redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRules {
    /// The mesh of the rules; `None` if the pod should have none.
    pub mesh: Option<Mesh>,
    /// One rule set for each family.
    pub rule_sets: Vec<RuleSet>,
    ownership: Cow<'static, Ownership>,
}

impl ExpectedRules {
    /// The rules of a redirected pod.
    pub fn of(redirection: Redirection) -> Self {
        let mesh = redirection.interception.mesh();
        Self {
            mesh: Some(mesh),
            rule_sets: redirection.rule_sets,
            ownership: Cow::Borrowed(ownership(mesh)),
        }
    }

    /// No rules: those of the served meshes would be too many.
    pub fn none(conf: &MeshConf) -> Self {
        Self {
            mesh: None,
            rule_sets: Vec::new(),
            ownership: ownership_of(conf.profile.meshes()),
        }
    }

    /// What counts as ours in the pod's network namespace.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The other meshes that have rules in the namespace too; none for a pod that is not redirected.
    pub fn other_meshes(&self, live: &[RuleSet]) -> MeshSet {
        let of = |mesh: Mesh| other_meshes(live, mesh.into());
        self.mesh.map_or_else(MeshSet::default, of)
    }

    /// The first difference to the rules that the pod has.
    pub fn drift(&self, live: &[RuleSet]) -> Option<Drift> {
        match self.mesh {
            Some(mesh) => difference(mesh, &self.rule_sets, live),
            None => drift_all(&self.rule_sets, live, &self.ownership),
        }
    }
}
