//! Whether a pod should be in ambient mode, by the decision that an ADD would make.

use std::net::IpAddr;

use mesh_cni_kube::pod::Pod;
use mesh_cni_plan::{Decision, ExpectedRules, MeshConf};

use crate::decide::decide;
use crate::kube::store::PodStore;

/// What a pod should become.
pub(super) enum Wanted {
    /// In ambient mode, with these rules.
    Enrolled(ExpectedRules),
    /// Not in ambient mode.
    Not,
    /// Not known, for this reason.
    Undecided(String),
}

/// What the pod with these addresses should become.
pub(super) fn wanted(pod: &Pod, addresses: &[IpAddr], store: &PodStore, conf: &MeshConf) -> Wanted {
    let facts = match &pod.facts {
        Ok(facts) => store.try_complete(facts),
        Err(error) => return Wanted::Undecided(error.to_string()),
    };
    let Some(mut facts) = facts else {
        return Wanted::Undecided("the labels of its namespace are not known yet".to_owned());
    };
    facts.addresses = addresses.to_vec();
    let mut pod = pod.clone();
    pod.facts = Ok(facts);
    match decide(&pod, conf) {
        Ok(Decision::Enrol(redirection)) => Wanted::Enrolled(ExpectedRules::of(*redirection)),
        Ok(Decision::OwnPod | Decision::Skip(_) | Decision::Redirect(_)) => Wanted::Not,
        Err(error) => Wanted::Undecided(error),
    }
}
