//! Pods in ambient mode: the decision, its rules, and the field `ambient`.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_cni_netfilter::{Family, render};
use mesh_cni_plan::{
    AmbientConf, Decision, Ipv6Mode, MeshConf, PlanError, Profile, Profiles, decide,
};
use mesh_cni_rules::ambient::{EarlierConnections, is_ambient};
use mesh_cni_rules::{Interception, Mesh, WarningCode, redirects};
use mesh_cni_selector::{ContainerFacts, PodFacts, SelectError};
use serde_json::{Value, json};

const MODE: &str = "istio.io/dataplane-mode";

/// A configuration that serves ambient mode beside sidecars.
fn conf(ambient: &Value) -> MeshConf {
    let entry = json!({"type": "mesh-cni", "ambient": ambient});
    let mut conf = MeshConf::from_json(&entry.to_string()).expect("valid").conf;
    conf.profile = Profiles::new([Profile::Asm, Profile::Ambient]).expect("a valid list");
    conf
}

fn pod(annotations: &[(&str, &str)]) -> PodFacts {
    let pairs = annotations
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    PodFacts {
        namespace: "shop".into(),
        name: "web".into(),
        annotations: pairs.collect(),
        namespace_labels: Some(BTreeMap::from([(MODE.into(), "ambient".into())])),
        addresses: vec![[10, 0, 0, 5].into(), "fd00::5".parse().expect("an address")],
        containers: vec![ContainerFacts {
            name: "web".into(),
            ..ContainerFacts::default()
        }],
        ..PodFacts::default()
    }
}

fn enrolled(facts: &PodFacts, conf: &MeshConf) -> mesh_cni_plan::Redirection {
    let decision = decide(facts, conf).expect("the facts are complete");
    let enrolled = match decision {
        Decision::Enrol(redirection) => Some(*redirection),
        Decision::OwnPod | Decision::Skip(_) | Decision::Redirect(_) => None,
    };
    enrolled.expect("the pod is in ambient mode")
}

fn interception(facts: &PodFacts, conf: &MeshConf) -> mesh_cni_rules::ambient::Interception {
    let ambient = match enrolled(facts, conf).interception {
        Interception::Ambient(interception) => Some(interception),
        Interception::Istio(..) | Interception::Linkerd(_) | Interception::Kuma(_) => None,
    };
    ambient.expect("the interception is that of ambient mode")
}

#[test]
fn a_pod_without_a_sidecar_is_enrolled_and_one_with_a_sidecar_is_redirected() {
    let conf = conf(&json!({}));
    let mut facts = pod(&[]);
    let redirection = enrolled(&facts, &conf);
    assert_eq!(redirection.sidecar, None);
    assert_eq!(redirection.interception.mesh(), Mesh::Ambient);
    assert!(redirection.rule_sets.iter().all(is_ambient));
    assert_eq!(redirection.rule_sets.len(), 2);
    assert!(redirection.warnings.is_empty());
    facts.containers.push(ContainerFacts {
        name: "istio-proxy".into(),
        ..ContainerFacts::default()
    });
    match decide(&facts, &conf).unwrap() {
        Decision::Redirect(redirection) => assert!(!is_ambient(&redirection.rule_sets[0])),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pod_whose_labels_are_not_known_is_neither_skipped_nor_enrolled() {
    let mut facts = pod(&[]);
    facts.namespace_labels = None;
    let error = decide(&facts, &conf(&json!({}))).unwrap_err();
    assert!(
        matches!(error, PlanError::Select(SelectError::MissingFacts(_))),
        "{error}"
    );
}

#[test]
fn the_cluster_configures_and_annotations_override() {
    let default = interception(&pod(&[]), &conf(&json!({})));
    assert_eq!(default, mesh_cni_rules::ambient::Interception::default());
    let conf = conf(&json!({
        "dns_capture": false,
        "host_probe_snat_ip": "169.254.9.9",
        "host_probe_snat_ipv6": "fd16::9",
        "earlier_connections": "keep",
    }));
    let configured = interception(&pod(&[]), &conf);
    assert!(!configured.dns && !configured.bypass_inbound);
    let probes = (
        Ipv4Addr::new(169, 254, 9, 9),
        "fd16::9".parse::<Ipv6Addr>().unwrap(),
    );
    assert_eq!(configured.probe_sources, probes);
    assert_eq!(configured.earlier_connections, EarlierConnections::Keep);
    let annotated = interception(
        &pod(&[
            ("ambient.istio.io/dns-capture", "true"),
            ("ambient.istio.io/bypass-inbound-capture", "true"),
            ("istio.io/reroute-virtual-interfaces", "net1, net2"),
            ("traffic.sidecar.istio.io/excludeOutboundPorts", "nonsense"),
        ]),
        &conf,
    );
    assert!(annotated.dns && annotated.bypass_inbound);
    let names: Vec<_> = annotated
        .reroute_interfaces
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["net1", "net2"]);
}

#[test]
fn an_annotation_that_does_not_parse_refuses_the_pod() {
    let facts = pod(&[("ambient.istio.io/dns-capture", "on")]);
    let error = decide(&facts, &conf(&json!({}))).unwrap_err();
    let cause = error.source().unwrap();
    insta::assert_snapshot!(format!("{error}: {cause}"), @"annotation ambient.istio.io/dns-capture = `on`: `on` at position 1 is not a boolean: allowed are `true` and `false`");
}

#[test]
fn the_configuration_decides_about_ipv6() {
    let mut conf = conf(&json!({"ipv6": false}));
    let families = |conf: &MeshConf, facts: &PodFacts| {
        let rule_sets = enrolled(facts, conf).rule_sets;
        rule_sets
            .iter()
            .map(|rules| rules.family)
            .collect::<Vec<_>>()
    };
    let facts = pod(&[]);
    assert_eq!(families(&conf, &facts), [Family::V4]);
    let [warning] = &enrolled(&facts, &conf).warnings[..] else {
        panic!("one warning is expected");
    };
    assert_eq!(warning.code, WarningCode::Ipv6WithoutRules);
    insta::assert_snapshot!(warning.message, @"the pod has address fd00::5 and gets no IPv6 rules, because `ipv6` in field `ambient` is false: IPv6 traffic bypasses the proxy; set field `ipv6` of the plugin's configuration to `reject` or `redirect`, or `ipv6` in field `ambient` to true");
    conf.ipv6 = Ipv6Mode::Reject;
    let rejecting = enrolled(&facts, &conf);
    assert!(!redirects(&rejecting.rule_sets[1]) && rejecting.warnings.is_empty());
    conf.ipv6 = Ipv6Mode::Redirect;
    assert_eq!(families(&conf, &facts), Family::ALL);
    let mut single = pod(&[]);
    single.addresses.truncate(1);
    assert_eq!(families(&conf, &single), [Family::V4]);
}

#[test]
fn selectors_of_the_configuration_decide() {
    let conf = conf(&json!({
        "system_namespace": "shop",
        "enablement_selectors": [{"podSelector": {"matchLabels": {"team": "a"}}}],
    }));
    assert!(!conf.policy().needs_namespace_labels());
    let mut facts = pod(&[]);
    let skipped = |facts: &PodFacts| match decide(facts, &conf).unwrap() {
        Decision::Skip(reason) => reason.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(skipped(&facts), "not-enabled");
    facts.labels.insert("team".into(), "a".into());
    facts.namespace_labels = None;
    enrolled(&facts, &conf);
    facts.labels.insert("app".into(), "ztunnel".into());
    assert_eq!(skipped(&facts), "ztunnel");
}

#[test]
fn an_invalid_field_is_refused_and_an_unknown_one_is_named() {
    let refusal = |ambient: &Value| {
        let entry = json!({"ambient": ambient});
        let error = MeshConf::decode(entry.as_object().unwrap()).unwrap_err();
        let cause = error.source().unwrap().to_string();
        format!("{error}: {cause}")
    };
    let refusals = [
        json!([]),
        json!("enabled"),
        json!({"enablement_selectors": []}),
        json!({"enablement_selectors": [{"podSelector": {"matchLabel": {}}}]}),
        json!({"dns_capture": "yes"}),
        json!({"host_probe_snat_ip": "169.254.7"}),
        json!({"host_probe_snat_ipv6": "169.254.7.127"}),
        json!({"earlier_connections": "drop"}),
    ]
    .map(|ambient| refusal(&ambient));
    crate::assert_snapshot!(
        "ambient-conf-refusals",
        "one line for each invalid value: the field, its value, and what is allowed",
        refusals.join("\n")
    );
    let entry = json!({"ambient": {"dns_captur": false, "ipv6": false}});
    let decoded = MeshConf::decode(entry.as_object().unwrap()).unwrap();
    assert_eq!(decoded.unknown, ["ambient.dns_captur"]);
    assert!(!decoded.conf.ambient().ipv6);
    assert_eq!(*MeshConf::default().ambient(), AmbientConf::default());
}

#[test]
fn the_rules_of_both_families_name_the_probe_sources_of_the_configuration() {
    let conf = conf(&json!({
        "host_probe_snat_ip": "169.254.9.9", "host_probe_snat_ipv6": "fd16::9",
    }));
    let text: String = enrolled(&pod(&[]), &conf)
        .rule_sets
        .iter()
        .map(render::restore)
        .collect();
    for source in [
        "-s 169.254.9.9/32",
        "-d 169.254.9.9/32",
        "-s fd16::9/128",
        "-d fd16::9/128",
    ] {
        assert!(text.contains(source), "{source} is missing:\n{text}");
    }
}
