//! Pods of Kuma.
#![expect(clippy::panic, reason = "a test ends where it fails")]

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_plan::{Decision, MeshConf, PlanError, Redirection, Warning, decide};
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::{Interception, Mesh};
use mesh_cni_selector::{NameServers, PodFacts};
use serde_json::json;

use crate::decide::{conf, with_addresses};

const SIDECAR: &str = "{name: kuma-sidecar, securityContext: {runAsUser: 5678, runAsGroup: 5678}}";

fn served() -> MeshConf {
    conf(&json!({"profile": ["asm", "linkerd", "kuma"]}))
}

/// A pod of Kuma with that configuration and these further containers.
fn pod(config: &str, containers: &str) -> PodFacts {
    let config = serde_json::to_string(config).expect("a text is JSON");
    let manifest = format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: demo
  namespace: shop
  annotations:
    kuma.io/sidecar-injected: 'true'
    traffic.kuma.io/transparent-proxy-config: {config}
spec:
  containers: [{containers}]
"
    );
    PodFacts::from_manifest(&manifest).expect("the manifest is valid")
}

fn redirection(facts: &PodFacts, conf: &MeshConf) -> Redirection {
    match decide(facts, conf) {
        Ok(Decision::Redirect(redirection)) => *redirection,
        other => panic!("the pod is not redirected: {other:?}"),
    }
}

fn families(redirection: &Redirection) -> Vec<Family> {
    let rule_sets = redirection.rule_sets.iter();
    rule_sets.map(|rules| rules.family).collect()
}

fn warnings(redirection: &Redirection) -> Vec<String> {
    redirection
        .warnings
        .iter()
        .map(Warning::to_string)
        .collect()
}

#[test]
fn the_configuration_annotation_decides_about_the_rules() {
    let facts = pod("redirect: {inbound: {enabled: false}}", SIDECAR);
    let redirection = redirection(&facts, &served());
    assert_eq!(redirection.interception.mesh(), Mesh::Kuma);
    let Interception::Kuma(interception) = &redirection.interception else {
        panic!("{redirection:?}")
    };
    assert!(!interception.inbound.enabled);
    assert_eq!(redirection.rule_sets, [interception.compile(Family::V4)]);
    assert_eq!(warnings(&redirection), Vec::<String>::new());
}

#[test]
fn any_usable_ipv6_address_causes_ipv6_rules() {
    let facts = |mode: &str, addresses: &[&str]| {
        with_addresses(pod(&format!("ipFamilyMode: {mode}"), SIDECAR), addresses)
    };
    let both = ["10.0.0.7", "fd00::7"];
    let found = redirection(&facts("dualstack", &both), &served());
    assert_eq!(families(&found), Family::ALL);
    let found = redirection(&facts("dualstack", &["10.0.0.7", "fe80::7"]), &served());
    assert_eq!(families(&found), [Family::V4]);
    assert_eq!(warnings(&found), Vec::<String>::new());

    let restricted = facts("ipv4", &both);
    let found = redirection(&restricted, &served());
    assert_eq!(families(&found), [Family::V4]);
    insta::assert_snapshot!(warnings(&found).join("\n"), @"the pod has address fd00::7 and gets no IPv6 rules, because its `ipFamilyMode` is `ipv4`: IPv6 traffic bypasses the proxy; set field `ipv6` of the plugin's configuration to `reject` or `redirect`, or `ipFamilyMode` to `dualstack` [ipv6-without-rules]");
    let conf = |ipv6: &str| conf(&json!({"profile": "kuma", "ipv6": ipv6}));
    let redirected = redirection(&restricted, &conf("redirect"));
    assert_eq!(families(&redirected), Family::ALL);
    let refused = redirection(&restricted, &conf("reject"));
    assert_eq!(refused.rule_sets[1], mesh_cni_rules::reject_ipv6());
}

#[test]
fn containers_with_the_user_of_the_sidecar_bypass_it() {
    let others = "{name: app, securityContext: {runAsUser: 5678}}, {name: kuma-validation, securityContext: {runAsUser: 5678}}";
    let facts = pod("{}", &format!("{SIDECAR}, {others}"));
    insta::assert_snapshot!(warnings(&redirection(&facts, &served())).join("\n"), @"containers `app` with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]");
}

#[test]
fn a_pod_that_cannot_work_is_refused() {
    let refused = |facts: &PodFacts| decide(facts, &served()).expect_err("the pod is refused");
    let other_user = pod("kumaDPUser: '1234'", SIDECAR);
    let error = refused(&other_user);
    insta::assert_snapshot!(error, @"container kuma-sidecar runs as user 5678, and the rules exempt user 1234: its own traffic would return to it; set kumaDPUser, or annotation kuma.io/sidecar-uid, to the user of kuma-sidecar");
    let error = refused(&pod("redirect: [", SIDECAR));
    assert!(matches!(error, PlanError::UnreadableConfig(_)), "{error}");
    let error = refused(&pod("dryRun: true", SIDECAR));
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
    let ports: Vec<_> = (1..2100).map(|port| port.to_string()).collect();
    let many = format!(
        "redirect: {{inbound: {{excludePorts: '{}'}}}}",
        ports.join(",")
    );
    let error = refused(&pod(&many, SIDECAR));
    assert!(matches!(error, PlanError::TooManyRules(_)), "{error}");
}

#[test]
fn queries_to_the_pods_own_servers_are_captured() {
    let facts = |name_servers| PodFacts {
        name_servers,
        ..pod("redirect: {dns: {enabled: true}}", SIDECAR)
    };
    let captured = |facts: &PodFacts, conf: &MeshConf| match redirection(facts, conf).interception {
        Interception::Kuma(kuma) => kuma.dns,
        other => panic!("{other:?}"),
    };
    let servers = |of: &[&str]| -> Vec<_> { of.iter().flat_map(|server| server.parse()).collect() };
    let known = conf(&json!({"profile": "kuma", "cluster_dns": ["10.96.0.10", "fd00:96::a"]}));
    let of_pod = servers(&["10.0.0.53"]);
    let (cluster, only) = (
        NameServers::Cluster(of_pod.clone()),
        NameServers::Only(of_pod.clone()),
    );
    for (name_servers, conf, expected) in [
        (
            NameServers::Cluster(Vec::new()),
            &known,
            &["10.96.0.10", "fd00:96::a"][..],
        ),
        (
            cluster.clone(),
            &known,
            &["10.96.0.10", "fd00:96::a", "10.0.0.53"],
        ),
        (only.clone(), &known, &["10.0.0.53"]),
        (only, &served(), &["10.0.0.53"]),
    ] {
        let found = captured(&facts(name_servers), conf);
        assert_eq!(
            found,
            DnsCapture::Servers(servers(expected)),
            "{expected:?}"
        );
    }
    for (name_servers, conf) in [(NameServers::Unknown, &known), (cluster, &served())] {
        let error = decide(&facts(name_servers), conf).expect_err("the servers are not known");
        assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
    }
}
