//! Whether a pod should be in ambient mode, by the decision that an ADD would make.

use std::net::IpAddr;

use mesh_cni_kube::pod::Pod;
use mesh_cni_plan::{Decision, ExpectedRules, MeshConf};

use crate::decide::decide;

/// What a pod should become.
pub(super) enum Wanted {
    /// In ambient mode, with these rules.
    Enrolled(ExpectedRules),
    /// Not in ambient mode.
    Not,
    /// Not known, for this reason.
    Undecided(String),
}

/// What the pod with these addresses should become, by what is known of it and of its namespace.
pub(super) fn wanted(pod: &Pod, addresses: &[IpAddr], conf: &MeshConf) -> Wanted {
    let mut pod = pod.clone();
    match &mut pod.facts {
        Ok(facts) => facts.addresses = addresses.to_vec(),
        Err(error) => return Wanted::Undecided(error.to_string()),
    }
    match decide(&pod, conf) {
        Ok(Decision::Enrol(redirection)) => Wanted::Enrolled(ExpectedRules::of(*redirection)),
        Ok(Decision::OwnPod | Decision::Skip(_) | Decision::Redirect(_)) => Wanted::Not,
        Err(error) => Wanted::Undecided(error),
    }
}
