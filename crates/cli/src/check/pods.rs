//! What the plugin decides for all pods of a cluster, counted.

use std::collections::BTreeMap;

use mesh_cni_kube::pod::Pod;
use mesh_cni_plan::{Decision, MeshConf, WarningCode, decide};

/// The decisions, with the names of pods that need attention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodDecisions {
    /// How many are redirected.
    pub(crate) redirected: usize,
    /// How many are not, by the code of the reason.
    pub(crate) skipped: BTreeMap<&'static str, usize>,
    /// `NAMESPACE/NAME` of those that the plugin refuses, by the reason.
    pub(crate) refused: BTreeMap<String, Vec<String>>,
    /// `NAMESPACE/NAME` of redirected pods with an IPv6 address and without IPv6 rules.
    pub(crate) ipv6_open: Vec<String>,
    /// `NAMESPACE/NAME` of pods that have not started, by UID.
    pub(crate) pending: BTreeMap<String, String>,
}

impl PodDecisions {
    /// Adds a pod. One that has ended does not count.
    pub(crate) fn add(&mut self, pod: &Pod, conf: &MeshConf) {
        if pod.has_ended() {
            return;
        }
        let name = pod.name.to_string();
        if pod.phase == "Pending" {
            self.pending.insert(pod.uid.clone(), name.clone());
        }
        let decision = match &pod.facts {
            Ok(facts) => decide(facts, conf).map_err(|error| chain(&error)),
            Err(error) => Err(chain(error)),
        };
        match decision {
            Ok(Decision::OwnPod) => *self.skipped.entry("own-pod").or_default() += 1,
            Ok(Decision::Skip(reason)) => *self.skipped.entry(reason.code()).or_default() += 1,
            Ok(Decision::Redirect(redirection) | Decision::Enrol(redirection)) => {
                self.redirected += 1;
                let mut warnings = redirection.warnings.iter();
                if warnings.any(|warning| warning.code == WarningCode::Ipv6WithoutRules) {
                    self.ipv6_open.push(name);
                }
            }
            Err(reason) => self.refused.entry(reason).or_default().push(name),
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    error_reporter::Report::new(error).to_string()
}
