//! Pod facts as JSON, which programs of different versions exchange, and the agreement of `select`
//! with `conditions` for generated pods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_cni_selector::{
    ContainerFacts, Mesh, MeshSet, NameServers, PodFacts, Policy, RestartPolicy, Selection,
    SelectionMode, conditions, select,
};
use proptest::prelude::*;

use crate::support::{DATAPLANE_MODE, INJECT, STATUS, meshed};

#[test]
fn all_keys_but_the_name_have_defaults() {
    let facts: PodFacts =
        serde_json::from_str(r#"{"namespace":"a","name":"b","later":[1]}"#).unwrap();
    assert_eq!(
        facts,
        PodFacts {
            namespace: "a".into(),
            name: "b".into(),
            ..PodFacts::default()
        }
    );
    let container: ContainerFacts =
        serde_json::from_str(r#"{"name":"c","restart_policy":"sometimes","later":{}}"#).unwrap();
    assert_eq!(container.restart_policy, RestartPolicy::Other);
}

#[test]
fn namespace_and_name_are_required() {
    let error = serde_json::from_str::<PodFacts>(r#"{"namespace":"a"}"#).unwrap_err();
    assert!(
        error.to_string().starts_with("missing field `name`"),
        "{error}"
    );
}

#[test]
fn facts_match_their_uid_or_any_if_unknown() {
    let mut facts = meshed();
    facts.uid = None;
    assert!(facts.is_of("a") && facts.is_of("b"));
    facts.uid = Some("a".into());
    assert!(facts.is_of("a") && !facts.is_of("b"));
    facts.static_pod_uid = Some("b".into());
    assert!(facts.is_of("a") && facts.is_of("b") && !facts.is_of("c"));
}

/// The mirror of a static pod, as a kubelet creates it.
fn mirror() -> serde_json::Value {
    serde_json::json!({
        "metadata": {
            "namespace": "a", "name": "b-node-1", "uid": "of-the-mirror",
            "annotations": {
                "kubernetes.io/config.hash": "of-the-kubelet",
                "kubernetes.io/config.mirror": "of-the-kubelet",
                "kubernetes.io/config.source": "file",
            },
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "1", "controller": true},
            ],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "c"}]},
    })
}

type Change = fn(&mut serde_json::Value);

#[test]
fn only_the_mirror_of_a_static_pod_has_a_second_uid() {
    let uid = |pod: &serde_json::Value| PodFacts::from_object(pod).unwrap().static_pod_uid;
    assert_eq!(uid(&mirror()).as_deref(), Some("of-the-kubelet"));
    let facts = PodFacts::from_object(&mirror()).unwrap();
    assert!(facts.is_of("of-the-mirror") && facts.is_of("of-the-kubelet"));
    let forgeries: [(&str, Change); 9] = [
        ("no annotation of a mirror", |pod| {
            let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.remove("kubernetes.io/config.mirror");
        }),
        ("no owner", |pod| {
            pod["metadata"]["ownerReferences"] = serde_json::json!([]);
        }),
        ("owners of another type", |pod| {
            pod["metadata"]["ownerReferences"] = "Node".into();
        }),
        ("owned by a ReplicaSet", |pod| {
            pod["metadata"]["ownerReferences"][0]["kind"] = "ReplicaSet".into();
        }),
        ("owned by a Node of another group", |pod| {
            pod["metadata"]["ownerReferences"][0]["apiVersion"] = "evil.io/v1".into();
        }),
        ("owned by another node", |pod| {
            pod["metadata"]["ownerReferences"][0]["name"] = "node-2".into();
        }),
        ("on no node", |pod| {
            pod["spec"]["nodeName"] = serde_json::Value::Null;
        }),
        ("on no node, with an owner without a name", |pod| {
            pod["spec"]["nodeName"] = "".into();
            pod["metadata"]["ownerReferences"][0]["name"] = "".into();
        }),
        ("an empty UID", |pod| {
            pod["metadata"]["annotations"]["kubernetes.io/config.hash"] = "".into();
        }),
    ];
    for (name, change) in forgeries {
        let mut pod = mirror();
        change(&mut pod);
        assert_eq!(uid(&pod), None, "{name}");
        assert!(
            !PodFacts::from_object(&pod).unwrap().is_of("of-the-kubelet"),
            "{name}"
        );
    }
}

#[test]
fn a_pod_with_users_of_its_own_is_recognized() {
    let reads = |host_users: serde_json::Value| {
        let mut pod = mirror();
        pod["spec"]["hostUsers"] = host_users;
        PodFacts::from_object(&pod).map(|facts| facts.user_namespace)
    };
    assert!(reads(false.into()).unwrap());
    assert!(!reads(true.into()).unwrap());
    assert!(!reads(serde_json::Value::Null).unwrap());
    assert!(reads("false".into()).is_err());
}

#[test]
fn an_object_needs_no_kind() {
    let item = serde_json::json!({
        "metadata": {"namespace": "a", "name": "b"},
        "spec": {"containers": [{"name": "c"}]},
    });
    let facts = PodFacts::from_object(&item).unwrap();
    assert_eq!(facts.containers[0].name, "c");
    let error = PodFacts::from_object(&serde_json::json!({})).unwrap_err();
    assert_eq!(error.to_string(), "`metadata` is missing");
}

#[test]
fn the_keys() {
    let mut facts = meshed();
    facts.containers.truncate(1);
    insta::with_settings!({
        description => "Keys are snake case; `uid`, `run_as_user`, `run_as_group`, `addresses` and `namespace_labels` \
                        are absent if unknown. A change here breaks agents and plugins of other versions.",
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!(facts);
    });
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = prop::sample::select(vec![INJECT, STATUS, DATAPLANE_MODE, "mesh", "other"])
        .prop_map(str::to_owned);
    let value = prop::sample::select(vec![
        "true", "false", "0", "T", "", "ambient", "none", "off",
    ])
    .prop_map(str::to_owned);
    prop::collection::btree_map(key, value, 0..4)
}

fn containers() -> impl Strategy<Value = Vec<ContainerFacts>> {
    let name = prop::sample::select(vec!["istio-proxy", "istio-init", "app", "other"])
        .prop_map(str::to_owned);
    let arg = prop::sample::select(vec!["proxy", "sidecar", "router", ""]).prop_map(str::to_owned);
    let value = prop::sample::select(vec!["true", "false", "x"]);
    let env = prop::option::of(value).prop_map(|value| {
        value
            .into_iter()
            .map(|value| ("DISABLE_ENVOY".to_owned(), value.to_owned()))
            .collect()
    });
    let restart = prop::sample::select(vec![
        RestartPolicy::Inherited,
        RestartPolicy::Always,
        RestartPolicy::Other,
    ]);
    let container = (
        name,
        prop::collection::vec(arg, 0..3),
        env,
        any::<Option<i64>>(),
        restart,
    )
        .prop_map(
            |(name, args, env, run_as_user, restart_policy)| ContainerFacts {
                name,
                args,
                env,
                env_from: vec!["POD_NAME".to_owned()],
                run_as_user,
                run_as_group: run_as_user,
                restart_policy,
            },
        );
    prop::collection::vec(container, 0..3)
}

fn facts() -> impl Strategy<Value = PodFacts> {
    let namespace =
        prop::sample::select(vec!["default", "kube-system", "shop"]).prop_map(str::to_owned);
    let parts = (
        namespace,
        any::<bool>(),
        texts(),
        texts(),
        containers(),
        containers(),
        prop::option::of(texts()),
        any::<[Option<i64>; 2]>(),
        any::<Vec<IpAddr>>(),
    );
    parts.prop_map(
        |(
            namespace,
            host_network,
            labels,
            annotations,
            containers,
            init_containers,
            namespace_labels,
            [run_as_user, run_as_group],
            addresses,
        )| {
            PodFacts {
                namespace_annotations: namespace_labels.clone(),
                namespace,
                name: "pod".to_owned(),
                uid: None,
                static_pod_uid: run_as_user.map(|uid| uid.to_string()),
                host_network,
                user_namespace: run_as_group.is_some(),
                labels,
                annotations,
                containers,
                init_containers,
                run_as_user,
                run_as_group,
                unknown_proxy_type: host_network,
                name_servers: match addresses.len() {
                    0 => NameServers::Unknown,
                    1 => NameServers::Cluster(addresses.clone()),
                    _ => NameServers::Only(addresses.clone()),
                },
                addresses,
                namespace_labels,
            }
        },
    )
}

fn policies() -> impl Strategy<Value = Policy> {
    let include = prop::option::of(Just("default,kube-*".parse().unwrap()));
    let selector = prop::option::of(Just("mesh=off".parse().unwrap()));
    let meshes = prop::sample::select(vec![
        MeshSet::from(Mesh::Istio),
        MeshSet::from(Mesh::Ambient),
        MeshSet::from_iter([Mesh::Istio, Mesh::Ambient]),
    ]);
    (
        prop::sample::select(&SelectionMode::ALL[..]),
        include,
        selector,
        meshes,
    )
        .prop_map(
            |(mode, include_namespaces, exclude_namespace_selector, meshes)| Policy {
                meshes,
                selection: mode,
                include_namespaces,
                exclude_namespace_selector,
                ..Policy::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn json_round_trip_keeps_all_facts(facts in facts()) {
        let text = serde_json::to_string(&facts).unwrap();
        prop_assert_eq!(serde_json::from_str::<PodFacts>(&text).unwrap(), facts);
    }

    #[test]
    fn the_first_condition_that_fails_is_the_reason(facts in facts(), policy in policies()) {
        let conditions = conditions(&facts, &policy);
        let failed = conditions.iter().find(|condition| !condition.holds).map(|condition| condition.fact.clone());
        match select(&facts, &policy) {
            Ok(Selection::Redirect { sidecar, .. }) => {
                prop_assert_eq!(failed, None);
                prop_assert_eq!(Some(sidecar), facts.proxy(Mesh::Istio).map(|proxy| proxy.kind));
            }
            Ok(Selection::Enrol) => prop_assert_eq!(failed, None),
            Ok(Selection::Skip(reason)) => prop_assert_eq!(failed, Some(reason.to_string())),
            Err(missing) => prop_assert_eq!(failed, Some(missing.to_string())),
        }
    }

    #[test]
    fn exclusion_by_name_agrees_with_select(facts in facts(), policy in policies()) {
        if let Some(reason) = policy.exclude_by_name(&facts.namespace) {
            let expected = if facts.host_network { "host-network" } else { reason.code() };
            match select(&facts, &policy) {
                Ok(Selection::Skip(found)) => prop_assert_eq!(found.code(), expected),
                other => prop_assert!(false, "expected a skip, got {:?}", other),
            }
        }
    }
}
