//! One test for each skip reason, in each mode.

use std::collections::BTreeMap;

use mesh_cni_selector::{
    ContainerList, InjectSource, Mesh, MissingFacts, NamespaceSet, PodFacts, Policy, RestartPolicy,
    SelectError, Selection, SelectionMode, SidecarKind, SkipReason, conditions, select,
};

use crate::support::{INJECT, STATUS, code, codes, container, meshed, meshed_natively, policy};

/// Changes a pod that every mode redirects, and checks the code of each mode.
#[track_caller]
fn check(change: impl FnOnce(&mut PodFacts), expected: [&str; 3]) {
    let mut facts = meshed();
    change(&mut facts);
    assert_eq!(codes(&facts), expected, "asm, asm-literal, istio");
}

#[track_caller]
fn reason(facts: &PodFacts, policy: &Policy) -> SkipReason {
    select(facts, policy).unwrap().reason().unwrap().clone()
}

fn label(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(INJECT.to_owned(), value.to_owned())])
}

#[test]
fn a_meshed_pod_is_redirected() {
    for mode in SelectionMode::ALL {
        let selection = select(&meshed(), &policy(mode)).unwrap();
        let sidecar = SidecarKind::Container;
        let mesh = Mesh::Istio;
        assert_eq!(selection, Selection::Redirect { mesh, sidecar }, "{mode}");
    }
}

#[test]
fn a_native_sidecar_counts_as_a_container() {
    for mode in SelectionMode::ALL {
        let selection = select(&meshed_natively(), &policy(mode)).unwrap();
        let sidecar = SidecarKind::Native;
        let mesh = Mesh::Istio;
        assert_eq!(selection, Selection::Redirect { mesh, sidecar }, "{mode}");
    }
}

#[test]
fn host_network_comes_first() {
    check(
        |facts| {
            facts.host_network = true;
            facts.namespace = "kube-system".into();
            facts.containers.clear();
        },
        ["host-network"; 3],
    );
}

#[test]
fn excluded_namespace() {
    check(
        |facts| facts.namespace = "kube-system".into(),
        ["namespace-excluded"; 3],
    );
}

#[test]
fn an_excluded_namespace_names_the_pattern() {
    let policy = Policy {
        exclude_namespaces: "istio-system,kube-*".parse().unwrap(),
        ..Policy::default()
    };
    let facts = PodFacts {
        namespace: "kube-public".into(),
        ..meshed()
    };
    let reason = reason(&facts, &policy);
    assert_eq!(
        reason.to_string(),
        "namespace `kube-public` matches `kube-*` in `exclude_namespaces`"
    );
    assert_eq!(policy.exclude_by_name("kube-public"), Some(reason));
    assert_eq!(policy.exclude_by_name("default"), None);
}

#[test]
fn an_include_list_shuts_the_others_out() {
    let included: NamespaceSet = "shop-*,default".parse().unwrap();
    for mode in SelectionMode::ALL {
        let policy = Policy {
            include_namespaces: Some(included.clone()),
            ..policy(mode)
        };
        assert_eq!(code(&meshed(), &policy), "redirect");
        let facts = PodFacts {
            namespace: "other".into(),
            ..meshed()
        };
        assert_eq!(
            reason(&facts, &policy),
            SkipReason::NamespaceNotIncluded {
                namespace: "other".into(),
                included: included.clone()
            }
        );
    }
}

#[test]
fn exclusion_has_precedence_over_inclusion() {
    let policy = Policy {
        include_namespaces: Some("*".parse().unwrap()),
        ..Policy::default()
    };
    let facts = PodFacts {
        namespace: "kube-system".into(),
        ..meshed()
    };
    assert_eq!(code(&facts, &policy), "namespace-excluded");
}

#[test]
fn namespaces_excluded_by_label() {
    for mode in SelectionMode::ALL {
        let policy = Policy {
            exclude_namespace_selector: Some("mesh in (off,none)".parse().unwrap()),
            ..policy(mode)
        };
        assert!(policy.needs_namespace_labels());
        let with = |value: &str| PodFacts {
            namespace_labels: Some(BTreeMap::from([("mesh".to_owned(), value.to_owned())])),
            ..meshed()
        };
        assert_eq!(code(&with("off"), &policy), "namespace-labels-excluded");
        assert_eq!(code(&with("on"), &policy), "redirect");
    }
}

#[test]
fn unknown_namespace_labels_are_an_error_and_never_a_skip() {
    let policy = Policy {
        exclude_namespace_selector: Some("mesh=off".parse().unwrap()),
        ..Policy::default()
    };
    let missing = select(&meshed(), &policy).unwrap_err();
    assert_eq!(
        missing,
        SelectError::MissingFacts(MissingFacts::NamespaceLabels {
            namespace: "default".into(),
            field: "exclude_namespace_selector",
        })
    );

    let failed = conditions(&meshed(), &policy)
        .into_iter()
        .find(|condition| !condition.holds);
    assert_eq!(failed.unwrap().fact, missing.to_string());

    // An exclusion by name does not need the labels.
    let facts = PodFacts {
        namespace: "kube-system".into(),
        ..meshed()
    };
    assert_eq!(code(&facts, &policy), "namespace-excluded");
}

#[test]
fn no_proxy() {
    check(
        |facts| facts.containers[1].name = "envoy".into(),
        ["no-istio-proxy"; 3],
    );
}

#[test]
fn an_init_container_that_exits_is_not_a_proxy() {
    for policy_of_container in [RestartPolicy::Inherited, RestartPolicy::Other] {
        let mut facts = meshed_natively();
        facts.init_containers[0].restart_policy = policy_of_container;
        assert_eq!(codes(&facts), ["no-istio-proxy"; 3]);
        assert_eq!(
            reason(&facts, &Policy::default()).to_string(),
            "none of the pod's containers is named `istio-proxy`: `app`; init container `istio-proxy` has no `restartPolicy: Always`, so it is not a sidecar"
        );
    }
}

#[test]
fn a_proxy_without_another_container() {
    check(
        |facts| drop(facts.containers.remove(0)),
        ["single-container", "single-container", "redirect"],
    );
}

#[test]
fn an_init_container_that_exits_does_not_count() {
    check(
        |facts| facts.init_containers.push(facts.containers.remove(0)),
        ["single-container", "single-container", "redirect"],
    );
}

#[test]
fn injection_disabled_by_annotation() {
    check(
        |facts| facts.annotations.extend(label("false")),
        ["injection-disabled", "redirect", "injection-disabled"],
    );
}

#[test]
fn injection_disabled_by_label() {
    check(
        |facts| facts.labels.extend(label("F")),
        ["injection-disabled", "redirect", "injection-disabled"],
    );
}

#[test]
fn the_label_has_precedence_over_the_annotation() {
    let mut facts = meshed();
    facts.labels.extend(label("0"));
    facts.annotations.extend(label("true"));
    assert_eq!(
        codes(&facts),
        [
            "injection-disabled",
            "inject-annotation-true",
            "injection-disabled"
        ]
    );
    assert_eq!(
        reason(&facts, &Policy::default()),
        SkipReason::InjectionDisabled {
            source: InjectSource::Label,
            value: "0".into()
        }
    );

    facts.labels.extend(label("true"));
    facts.annotations.extend(label("false"));
    assert_eq!(codes(&facts), ["redirect"; 3]);
}

#[test]
fn a_value_that_is_not_a_boolean_does_not_disable_injection() {
    for value in ["", "no", "disabled", "fAlse"] {
        check(
            |facts| facts.annotations.extend(label(value)),
            ["redirect"; 3],
        );
        check(
            |facts| {
                facts.labels.extend(label(value));
                facts.annotations.extend(label("false"));
            },
            ["redirect"; 3],
        );
    }
}

#[test]
fn asm_literal_excludes_only_the_annotation_true() {
    check(
        |facts| facts.annotations.extend(label("true")),
        ["redirect", "inject-annotation-true", "redirect"],
    );
    check(
        |facts| facts.annotations.extend(label("True")),
        ["redirect"; 3],
    );
    check(|facts| facts.labels.extend(label("true")), ["redirect"; 3]);
}

#[test]
fn istio_init_in_either_list() {
    check(
        |facts| facts.init_containers.push(container("istio-init")),
        ["istio-init-present"; 3],
    );
    check(
        |facts| facts.containers.push(container("istio-init")),
        ["istio-init-present"; 3],
    );

    let mut facts = meshed();
    facts.init_containers.push(container("istio-init"));
    let list = ContainerList::InitContainers;
    assert_eq!(
        reason(&facts, &Policy::default()),
        SkipReason::InitPresent {
            mesh: Mesh::Istio,
            list
        }
    );
}

#[test]
fn envoy_disabled() {
    let with = |value: &'static str| {
        move |facts: &mut PodFacts| {
            facts.containers[1]
                .env
                .insert("DISABLE_ENVOY".into(), value.into());
        }
    };
    check(
        with("true"),
        ["envoy-disabled", "redirect", "envoy-disabled"],
    );
    check(with("1"), ["envoy-disabled", "redirect", "envoy-disabled"]);
    check(with("false"), ["redirect"; 3]);
    check(with("yes"), ["redirect"; 3]);
    check(
        |facts| {
            let env = &mut facts.containers[0].env;
            env.insert("DISABLE_ENVOY".into(), "true".into());
        },
        ["redirect"; 3],
    );
}

#[test]
fn another_type_of_proxy() {
    let with = |args: &'static [&str]| {
        move |facts: &mut PodFacts| {
            facts.containers[1].args = args.iter().map(|arg| (*arg).to_owned()).collect();
        }
    };
    for kind in [
        &["proxy", "router"],
        &["proxy", "waypoint"],
        &["proxy", "ztunnel"],
    ] {
        check(
            with(kind),
            ["not-a-sidecar-proxy", "redirect", "not-a-sidecar-proxy"],
        );
    }
    check(with(&["proxy"]), ["redirect"; 3]);
    check(with(&[]), ["redirect"; 3]);
    check(with(&["run", "router"]), ["redirect"; 3]);
}

#[test]
fn an_unknown_type_is_an_error_and_never_a_sidecar() {
    let facts = PodFacts {
        annotations: BTreeMap::from([
            (STATUS.to_owned(), "{}".to_owned()),
            ("inject.istio.io/templates".to_owned(), "edge".to_owned()),
        ]),
        unknown_proxy_type: true,
        ..meshed()
    };
    for mode in [SelectionMode::Asm, SelectionMode::Istio] {
        let error = select(&facts, &policy(mode)).unwrap_err().to_string();
        assert_eq!(
            error,
            "the type of the proxy is not known: annotation `inject.istio.io/templates` is `edge`, \
             which is none of Istio's own templates"
        );
    }
    assert_eq!(code(&facts, &policy(SelectionMode::AsmLiteral)), "redirect");
    // A pod that is skipped for another reason needs no type.
    let facts = PodFacts {
        containers: vec![container("app")],
        ..facts
    };
    assert_eq!(codes(&facts), ["no-istio-proxy"; 3]);
}

#[test]
fn mode_none_is_a_skip_in_every_mode() {
    let annotation = |value: &'static str| {
        move |facts: &mut PodFacts| {
            let key = "sidecar.istio.io/interceptionMode".to_owned();
            facts.annotations.insert(key, value.to_owned());
        }
    };
    let variable = |value: &'static str| {
        move |facts: &mut PodFacts| {
            let name = "ISTIO_META_INTERCEPTION_MODE".to_owned();
            facts.containers[1].env.insert(name, value.to_owned());
        }
    };
    check(annotation("NONE"), ["mode-none"; 3]);
    check(annotation(" NONE "), ["mode-none"; 3]);
    check(variable("NONE"), ["mode-none"; 3]);
    check(variable("REDIRECT"), ["redirect"; 3]);
    // Not modes: the settings refuse them.
    check(annotation("none"), ["redirect"; 3]);
    check(annotation(""), ["redirect"; 3]);
    check(
        |facts| {
            annotation("TPROXY")(facts);
            variable("NONE")(facts);
        },
        ["redirect"; 3],
    );
    let mut facts = meshed();
    annotation("NONE")(&mut facts);
    let reason = reason(&facts, &Policy::default());
    assert_eq!(
        reason.to_string(),
        "mode NONE: the pod's annotation `sidecar.istio.io/interceptionMode` asks for a proxy \
         without redirection"
    );
}

#[test]
fn no_status_annotation() {
    check(
        |facts| drop(facts.annotations.remove(STATUS)),
        ["redirect", "redirect", "no-status-annotation"],
    );
}

#[test]
fn istio_has_its_own_order() {
    let mut facts = meshed();
    let mut order = Vec::new();
    facts.annotations = label("false");
    facts.containers[1].args[1] = "router".into();
    facts.containers[1]
        .env
        .insert("DISABLE_ENVOY".into(), "true".into());
    facts.init_containers.push(container("istio-init"));
    facts.namespace = "kube-system".into();
    facts.host_network = true;
    let changes: [fn(&mut PodFacts); 7] = [
        |facts| facts.host_network = false,
        |facts| facts.namespace = "default".into(),
        |facts| facts.init_containers.clear(),
        |facts| facts.containers[1].env.clear(),
        |facts| facts.containers[1].args.clear(),
        |facts| facts.annotations.clear(),
        |facts| drop(facts.annotations.insert(STATUS.into(), String::new())),
    ];
    for change in changes {
        order.push(code(&facts, &policy(SelectionMode::Istio)));
        change(&mut facts);
    }
    assert_eq!(
        order,
        [
            "host-network",
            "namespace-excluded",
            "istio-init-present",
            "envoy-disabled",
            "not-a-sidecar-proxy",
            "injection-disabled",
            "no-status-annotation",
        ]
    );
    assert_eq!(code(&facts, &policy(SelectionMode::Istio)), "redirect");
}

#[test]
fn values_with_line_breaks_are_printed_on_one_line() {
    let mut facts = meshed();
    facts.containers[1].args[1] = "router\nredirect: yes".into();
    assert_eq!(
        reason(&facts, &policy(SelectionMode::Istio)).to_string(),
        "`istio-proxy` is a proxy of type `router\\nredirect: yes`, not `sidecar`"
    );
}

#[test]
fn a_selection_as_json() {
    let redirect = select(&meshed_natively(), &Policy::default()).unwrap();
    insta::assert_json_snapshot!(redirect, @r#"
    {
      "decision": "redirect",
      "mesh": "istio",
      "sidecar": "native"
    }
    "#);
    let facts = PodFacts {
        host_network: true,
        ..meshed()
    };
    insta::assert_json_snapshot!(select(&facts, &Policy::default()).unwrap(), @r#"
    {
      "decision": "skip",
      "code": "host-network",
      "reason": "the pod has `hostNetwork: true`, so it shares the node's network"
    }
    "#);
}
