//! Pods to test with, and how they are written down.

use std::collections::BTreeMap;

use mesh_cni_selector::{
    ContainerFacts, PodFacts, Policy, RestartPolicy, Selection, SelectionMode,
};
use mesh_cni_selector::{conditions, select};

pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
pub(crate) const STATUS: &str = "sidecar.istio.io/status";

/// The manifests of this folder, by file name.
pub(crate) const MANIFESTS: [(&str, &str); 11] = [
    (
        "productpage.yaml",
        include_str!("../manifests/productpage.yaml"),
    ),
    (
        "native-sidecar.yaml",
        include_str!("../manifests/native-sidecar.yaml"),
    ),
    ("job.yaml", include_str!("../manifests/job.yaml")),
    ("list.yaml", include_str!("../manifests/list.yaml")),
    (
        "host-network.yaml",
        include_str!("../manifests/host-network.yaml"),
    ),
    (
        "kube-system.yaml",
        include_str!("../manifests/kube-system.yaml"),
    ),
    (
        "no-sidecar.yaml",
        include_str!("../manifests/no-sidecar.yaml"),
    ),
    ("gateway.yaml", include_str!("../manifests/gateway.yaml")),
    (
        "opted-out.yaml",
        include_str!("../manifests/opted-out.yaml"),
    ),
    (
        "istio-init.yaml",
        include_str!("../manifests/istio-init.yaml"),
    ),
    (
        "proxyless.json",
        include_str!("../manifests/proxyless.json"),
    ),
];

/// A pod that every selection redirects.
pub(crate) fn meshed() -> PodFacts {
    let proxy = ContainerFacts {
        args: vec!["proxy".into(), "sidecar".into()],
        ..container("istio-proxy")
    };
    PodFacts {
        namespace: "default".into(),
        name: "app".into(),
        annotations: BTreeMap::from([(STATUS.into(), "{}".into())]),
        containers: vec![container("app"), proxy],
        ..PodFacts::default()
    }
}

/// The same pod with its proxy as a native sidecar.
pub(crate) fn meshed_natively() -> PodFacts {
    let mut facts = meshed();
    let mut proxy = facts.containers.pop().unwrap();
    proxy.restart_policy = RestartPolicy::Always;
    facts.init_containers.push(proxy);
    facts
}

pub(crate) fn container(name: &str) -> ContainerFacts {
    ContainerFacts {
        name: name.into(),
        ..ContainerFacts::default()
    }
}

pub(crate) fn policy(selection: SelectionMode) -> Policy {
    Policy {
        selection,
        ..Policy::default()
    }
}

/// The decision's code, after making sure that the list of conditions says the same.
#[track_caller]
pub(crate) fn code(facts: &PodFacts, policy: &Policy) -> &'static str {
    let decision = select(facts, policy).unwrap();
    let broken = conditions(facts, policy)
        .into_iter()
        .find(|condition| !condition.holds);
    match decision {
        Selection::Redirect(_) => {
            assert_eq!(broken, None);
            "redirect"
        }
        Selection::Skip(reason) => {
            assert_eq!(broken.unwrap().fact, reason.to_string());
            reason.code()
        }
    }
}

/// The codes of all three selections: asm, asm-literal, istio.
#[track_caller]
pub(crate) fn codes(facts: &PodFacts) -> [&'static str; 3] {
    SelectionMode::ALL.map(|selection| code(facts, &policy(selection)))
}
