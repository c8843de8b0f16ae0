//! The documented pod and its expected rules.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_selector::PodFacts;

/// The productpage pod of bookinfo with its injected sidecar.
pub const PRODUCTPAGE: &str = include_str!("../../examples/bookinfo/productpage.yaml");

/// Its name, in namespace `default`.
pub const PRODUCTPAGE_NAME: &str = "productpage-v1-7d4c9b5f6d-x2k8q";

/// Its UID.
pub const PRODUCTPAGE_UID: &str = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";

/// Its expected IPv4 rules.
pub fn productpage_rules() -> RuleSet {
    rules_of(&productpage())
}

/// Its expected IPv4 rules with additional environment variables of the proxy.
pub fn rules_with_proxy_env(environment: &[(&str, &str)]) -> RuleSet {
    let mut facts = productpage();
    let mut containers = facts.containers.iter_mut();
    let proxy = containers.find(|container| container.name == "istio-proxy");
    let proxy = proxy.expect("the documented pod has a sidecar");
    for (name, value) in environment {
        proxy.env.insert((*name).to_owned(), (*value).to_owned());
    }
    rules_of(&facts)
}

/// Its expected IPv4 rules with an additional annotation.
pub fn rules_with_annotation((key, value): (&str, &str)) -> RuleSet {
    rules_with_annotations(&[(key.to_owned(), value)])
}

/// Its expected IPv4 rules with annotations, which replace those with the same keys.
pub fn rules_with_annotations(annotations: &[(String, &str)]) -> RuleSet {
    let mut facts = productpage();
    for (key, value) in annotations {
        facts.annotations.insert(key.clone(), (*value).to_owned());
    }
    rules_of(&facts)
}

fn productpage() -> PodFacts {
    PodFacts::from_manifest(PRODUCTPAGE).expect("the manifest is valid")
}

fn rules_of(facts: &PodFacts) -> RuleSet {
    let decision = decide(facts, &MeshConf::default()).expect("the pod's settings are valid");
    let Decision::Redirect(redirection) = decision else {
        panic!("the documented pod is redirected");
    };
    let mut rule_sets = redirection.rule_sets.into_iter();
    rule_sets.next().expect("IPv4 is always there")
}
