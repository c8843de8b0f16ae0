//! Manifests, pods and policies for the tests.

use std::collections::BTreeMap;

use mesh_cni_selector::{
    ContainerFacts, PodFacts, Policy, RestartPolicy, Selection, SelectionMode, SkipReason,
};
use mesh_cni_selector::{conditions, select};

pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
pub(crate) const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
pub(crate) const STATUS: &str = "sidecar.istio.io/status";

/// The files in `tests/manifests` and their contents.
pub(crate) const MANIFESTS: [(&str, &str); 13] = [
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
    (
        "gateway-with-log-shipper.yaml",
        include_str!("../manifests/gateway-with-log-shipper.yaml"),
    ),
    (
        "mode-none.yaml",
        include_str!("../manifests/mode-none.yaml"),
    ),
];

/// A pod that every mode redirects.
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

pub(crate) fn policy(mode: SelectionMode) -> Policy {
    Policy {
        selection: mode,
        ..Policy::default()
    }
}

/// The reason code, `redirect` or `enrol`, after checking that the conditions agree.
#[track_caller]
pub(crate) fn code(facts: &PodFacts, policy: &Policy) -> &'static str {
    let selection = select(facts, policy).unwrap();
    let failed = conditions(facts, policy)
        .into_iter()
        .find(|condition| !condition.holds);
    match selection {
        Selection::Redirect { .. } => {
            assert_eq!(failed, None);
            "redirect"
        }
        Selection::Enrol => {
            assert_eq!(failed, None);
            "enrol"
        }
        Selection::Skip(reason) => {
            assert_eq!(failed.unwrap().fact, reason.to_string());
            assert!(SkipReason::CODES.contains(&reason.code()), "{reason:?}");
            reason.code()
        }
    }
}

/// The codes of all three modes: asm, asm-literal, istio.
#[track_caller]
pub(crate) fn codes(facts: &PodFacts) -> [&'static str; 3] {
    SelectionMode::ALL.map(|mode| code(facts, &policy(mode)))
}
