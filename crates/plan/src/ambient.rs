//! Pods in ambient mode: from facts and configuration to rules.

use mesh_cni_rules::Interception;
use mesh_cni_rules::ambient::Settings;
use mesh_cni_selector::PodFacts;

use crate::decide::{PlanError, Redirection};
use crate::mesh_conf::{Ipv6Mode, MeshConf};

pub(crate) fn redirection(facts: &PodFacts, conf: &MeshConf) -> Result<Redirection, PlanError> {
    let of_cluster = conf.ambient();
    let settings = Settings {
        annotations: Some(&facts.annotations),
        ..of_cluster.settings()
    };
    let mut interception = settings.resolve()?;
    interception.ipv6 |= conf.ipv6 == Ipv6Mode::Redirect;
    let interception = Interception::Ambient(interception);
    let families = interception.families(&facts.addresses).into_iter();
    let rule_sets = families
        .map(|family| interception.compile(family))
        .collect();
    Ok(Redirection {
        sidecar: None,
        interception,
        rule_sets,
        warnings: Vec::new(),
    })
}
