//! Which pods are in ambient mode.

use std::collections::BTreeMap;

use mesh_cni_selector::{
    AmbientPolicy, EnablementSelector, Mesh, MeshSet, MissingFacts, PodFacts, Policy,
    RestartPolicy, SelectError, Selection, SidecarKind, select,
};
use serde_json::{Value, json};

use crate::support::{DATAPLANE_MODE, STATUS, code, container, meshed};

fn ambient() -> Policy {
    Policy {
        meshes: Mesh::Ambient.into(),
        ..Policy::default()
    }
}

fn with_sidecars() -> Policy {
    Policy {
        meshes: MeshSet::from_iter([Mesh::Istio, Mesh::Ambient]),
        ..Policy::default()
    }
}

fn mode(value: Option<&str>) -> BTreeMap<String, String> {
    let pair = |value: &str| (DATAPLANE_MODE.to_owned(), value.to_owned());
    value.map(pair).into_iter().collect()
}

/// A pod without a sidecar, with these values of the label on the pod and on its namespace.
fn labelled(pod: Option<&str>, namespace: Option<&str>) -> PodFacts {
    PodFacts {
        namespace: "shop".into(),
        name: "web".into(),
        labels: mode(pod),
        namespace_labels: Some(mode(namespace)),
        containers: vec![container("web")],
        ..PodFacts::default()
    }
}

fn selector(object: Value) -> Result<EnablementSelector, String> {
    serde_json::from_value(object).map_err(|error| error.to_string())
}

#[test]
fn the_label_of_the_pod_has_precedence_over_that_of_the_namespace() {
    for (pod, namespace, expected) in [
        (Some("ambient"), None, "enrol"),
        (Some("ambient"), Some("none"), "enrol"),
        (None, Some("ambient"), "enrol"),
        (Some("sidecar"), Some("ambient"), "enrol"),
        (Some("none"), Some("ambient"), "not-enabled"),
        (None, None, "not-enabled"),
        (None, Some("none"), "not-enabled"),
        (Some("Ambient"), None, "not-enabled"),
    ] {
        let facts = labelled(pod, namespace);
        for policy in [ambient(), with_sidecars()] {
            assert_eq!(code(&facts, &policy), expected, "{pod:?} {namespace:?}");
        }
        assert_eq!(code(&facts, &Policy::default()), "no-istio-proxy");
    }
}

#[test]
fn the_reason_names_the_labels_that_decide() {
    let opted_out = labelled(Some("none"), Some("ambient"));
    insta::assert_snapshot!(select(&opted_out, &ambient()).unwrap(), @"skip, no enablement selector of ambient mode matches: the pod has `istio.io/dataplane-mode=none`, its namespace has `istio.io/dataplane-mode=ambient`");
    let unlabelled = labelled(None, None);
    insta::assert_snapshot!(select(&unlabelled, &with_sidecars()).unwrap(), @"skip, no enablement selector of ambient mode matches: the pod has no `istio.io/dataplane-mode`, its namespace has no `istio.io/dataplane-mode`; and it has no sidecar `istio-proxy`");
}

#[test]
fn unknown_labels_of_the_namespace_are_an_error_where_they_decide() {
    let unknown = |pod| PodFacts {
        namespace_labels: None,
        ..labelled(pod, None)
    };
    for pod in [None, Some("other")] {
        let missing = MissingFacts::NamespaceLabels {
            namespace: "shop".into(),
            field: "ambient.enablement_selectors",
        };
        for policy in [ambient(), with_sidecars()] {
            let error = select(&unknown(pod), &policy).unwrap_err();
            assert_eq!(error, SelectError::MissingFacts(missing.clone()), "{pod:?}");
        }
    }
    assert_eq!(code(&unknown(Some("ambient")), &ambient()), "enrol");
    assert_eq!(code(&unknown(Some("none")), &ambient()), "not-enabled");
    assert!(ambient().needs_namespace_labels());
    assert!(!Policy::default().needs_namespace_labels());
    let keys: Vec<_> = with_sidecars()
        .namespace_label_keys()
        .map(str::to_owned)
        .collect();
    assert_eq!(keys, [DATAPLANE_MODE]);
}

#[test]
fn pods_that_ztunnel_must_not_serve_are_skipped() {
    let ambient_pod = || labelled(Some("ambient"), None);
    let mut host_network = ambient_pod();
    host_network.host_network = true;
    let mut excluded = ambient_pod();
    excluded.namespace = "kube-system".into();
    let mut injected = ambient_pod();
    injected.annotations.insert(STATUS.into(), String::new());
    let mut ztunnel = ambient_pod();
    ztunnel.namespace = "istio-system".into();
    ztunnel.labels.insert("app".into(), "ztunnel".into());
    let mut linkerd = ambient_pod();
    linkerd.init_containers = vec![container("linkerd-proxy")];
    assert_eq!(code(&linkerd, &ambient()), "enrol");
    linkerd.init_containers[0].restart_policy = RestartPolicy::Always;
    let mut sidecar = ambient_pod();
    sidecar.containers.push(container("istio-proxy"));
    for (facts, expected) in [
        (&host_network, "host-network"),
        (&excluded, "namespace-excluded"),
        (&injected, "sidecar-injected"),
        (&ztunnel, "ztunnel"),
        (&linkerd, "sidecar-present"),
        (&sidecar, "sidecar-present"),
    ] {
        assert_eq!(code(facts, &ambient()), expected);
    }
    // Others may use the same label in their own namespaces.
    ztunnel.namespace = "shop".into();
    assert_eq!(code(&ztunnel, &ambient()), "enrol");
    let mut policy = ambient();
    policy.ambient.system_namespace = "shop".into();
    assert_eq!(code(&ztunnel, &policy), "ztunnel");
    sidecar.unknown_proxy_type = true;
    let error = select(&sidecar, &ambient()).unwrap_err();
    assert!(matches!(
        error,
        SelectError::MissingFacts(MissingFacts::ProxyType { .. })
    ));
}

#[test]
fn a_pod_that_a_sidecar_mesh_redirects_is_not_in_ambient_mode() {
    let mut facts = PodFacts {
        namespace_labels: Some(mode(Some("ambient"))),
        ..meshed()
    };
    let redirect = Selection::Redirect {
        mesh: Mesh::Istio,
        sidecar: SidecarKind::Container,
    };
    assert_eq!(select(&facts, &with_sidecars()), Ok(redirect));
    // With its own `istio-init`, its traffic is redirected too.
    facts.init_containers.push(container("istio-init"));
    assert_eq!(code(&facts, &with_sidecars()), "istio-init-present");
}

#[test]
fn a_gateway_can_be_in_ambient_mode() {
    let mut facts = meshed();
    facts.annotations.clear();
    facts.containers[1].args = vec!["proxy".into(), "router".into()];
    facts.namespace_labels = Some(mode(None));
    assert_eq!(code(&facts, &with_sidecars()), "not-a-sidecar-proxy");
    facts.labels = mode(Some("ambient"));
    for policy in [ambient(), with_sidecars()] {
        assert_eq!(code(&facts, &policy), "enrol");
    }
    facts.annotations.insert(STATUS.into(), "{}".into());
    assert_eq!(code(&facts, &with_sidecars()), "not-a-sidecar-proxy");
}

#[test]
fn the_default_selectors_are_those_of_the_chart_of_istio() {
    let written = json!([
        {"podSelector": {"matchLabels": {DATAPLANE_MODE: "ambient"}}},
        {
            "podSelector": {"matchExpressions": [
                {"key": DATAPLANE_MODE, "operator": "NotIn", "values": ["none"]},
            ]},
            "namespaceSelector": {"matchLabels": {DATAPLANE_MODE: "ambient"}},
        },
    ]);
    let selectors: Vec<EnablementSelector> = serde_json::from_value(written).unwrap();
    assert_eq!(selectors, AmbientPolicy::default().selectors);
    let printed: Vec<_> = selectors.iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "pod `istio.io/dataplane-mode=ambient`",
            "pod `istio.io/dataplane-mode!=none` and namespace `istio.io/dataplane-mode=ambient`"
        ]
    );
}

#[test]
fn a_selector_has_every_operator_and_all_requirements_must_hold() {
    let written = json!({
        "podSelector": {
            "matchLabels": {"team": "a"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["web", "api"]},
                {"key": "legacy", "operator": "DoesNotExist"},
            ],
        },
        "namespaceSelector": {"matchExpressions": [{"key": "mesh", "operator": "Exists", "values": []}]},
    });
    let mut policy = ambient();
    policy.ambient.selectors = vec![selector(written).unwrap()];
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        owned.collect()
    };
    let code_of = |pod: &[(&str, &str)], namespace: &[(&str, &str)]| {
        let facts = PodFacts {
            labels: pairs(pod),
            namespace_labels: Some(pairs(namespace)),
            ..labelled(None, None)
        };
        code(&facts, &policy)
    };
    let (pod, namespace): (&[_], &[_]) = (&[("team", "a"), ("tier", "api")], &[("mesh", "")]);
    assert_eq!(code_of(pod, namespace), "enrol");
    assert_eq!(code_of(pod, &[]), "not-enabled");
    assert_eq!(code_of(&pod[1..], namespace), "not-enabled");
    assert_eq!(
        code_of(&[("team", "a"), ("tier", "db")], namespace),
        "not-enabled"
    );
    let legacy = [pod, &[("legacy", "")]].concat();
    assert_eq!(code_of(&legacy, namespace), "not-enabled");
}

#[test]
fn a_selector_that_is_missing_or_empty_matches_everything() {
    for written in [
        json!({}),
        json!({"podSelector": {}}),
        json!({"podSelector": null, "namespaceSelector": {"matchLabels": {}, "matchExpressions": null}}),
    ] {
        let selector = selector(written).unwrap();
        assert_eq!(selector, EnablementSelector::default());
        assert_eq!(selector.to_string(), "every pod");
        let mut policy = ambient();
        policy.ambient.selectors = vec![selector];
        assert_eq!(code(&labelled(Some("none"), None), &policy), "enrol");
        assert!(!policy.needs_namespace_labels());
        policy.ambient = AmbientPolicy::none();
        assert_eq!(
            code(&labelled(Some("ambient"), None), &policy),
            "not-enabled"
        );
    }
}

#[test]
fn a_selector_is_refused_where_it_would_match_more_than_was_meant() {
    let pod = |expression: Value| json!({"podSelector": {"matchExpressions": [expression]}});
    let refusals = [
        json!([]),
        json!({"podSelectors": {}}),
        json!({"podSelector": []}),
        json!({"podSelector": "a=b"}),
        json!({"podSelector": {"matchLabel": {"a": "b"}}}),
        json!({"podSelector": {"matchLabels": {"a b": "c"}}}),
        json!({"namespaceSelector": {"matchLabels": {"a": "b c"}}}),
        json!({"namespaceSelector": {"matchLabels": {"a": 1}}}),
        pod(json!([])),
        pod(json!({"key": "a", "operator": "in", "values": ["b"]})),
        pod(json!({"key": "a", "operator": "In"})),
        pod(json!({"key": "a", "operator": "NotIn", "values": []})),
        pod(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
        pod(json!({"key": "a", "operator": "DoesNotExist", "values": ["b"]})),
        pod(json!({"key": "a", "operator": "In", "value": ["b"]})),
    ]
    .map(|written| selector(written).unwrap_err());
    insta::assert_snapshot!(refusals.join("\n"));
}
