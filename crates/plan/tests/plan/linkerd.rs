//! Pods of Linkerd: what an ADD would do, with the facts and the field `linkerd`.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::collections::BTreeMap;
use std::error::Error as _;

use mesh_cni_netfilter::render;
use mesh_cni_plan::{Decision, MeshConf, PodSourceName, Redirection, decide};
use mesh_cni_rules::Mesh;
use mesh_cni_selector::PodFacts;
use serde_json::{Value, json};

fn conf(linkerd: &Value) -> MeshConf {
    let entry = json!({"profile": ["asm", "linkerd"], "linkerd": linkerd});
    MeshConf::from_json(&entry.to_string()).unwrap().conf
}

fn pod(spec: &str) -> PodFacts {
    let text = format!("kind: Pod\nmetadata: {{name: web, {spec}");
    PodFacts {
        namespace_annotations: Some(BTreeMap::new()),
        ..PodFacts::from_manifest(&text).unwrap()
    }
}

const USUAL: &str = "labels: {}}\nspec: {containers: [{name: web}, {name: linkerd-proxy, securityContext: {runAsUser: 2102}}]}";

fn redirection(facts: &PodFacts, conf: &MeshConf) -> Redirection {
    match decide(facts, conf) {
        Ok(Decision::Redirect(redirection)) => Some(*redirection),
        _ => None,
    }
    .expect("the pod is redirected")
}

fn rules(redirection: &Redirection) -> String {
    redirection.rule_sets.iter().map(render::restore).collect()
}

#[test]
fn a_pod_of_linkerd_gets_its_rules_and_those_of_the_entry() {
    let usual = redirection(&pod(USUAL), &conf(&json!({})));
    assert_eq!(usual.interception.mesh(), Mesh::Linkerd);
    assert_eq!((usual.rule_sets.len(), usual.warnings.len()), (1, 0));
    assert!(rules(&usual).contains("--dports 4191,4190 "), "{usual:?}");

    // As Linkerd's Helm chart writes it.
    let entry = json!({
        "incoming-proxy-port": 4143, "outgoing-proxy-port": 4140, "proxy-uid": 2102,
        "ports-to-redirect": [], "inbound-ports-to-ignore": ["4191", "4190", "25"],
        "outbound-ports-to-ignore": ["443"], "simulate": false, "use-wait-flag": false,
        "iptables-mode": "nft", "ipv6": true
    });
    let of_entry = redirection(&pod(USUAL), &conf(&entry));
    assert_eq!(of_entry.rule_sets.len(), 2);
    assert!(rules(&of_entry).contains("--dports 4191,4190,25 "));
}

#[test]
fn unknown_annotations_of_the_namespace_refuse_a_pod_of_linkerd_alone() {
    let conf = conf(&json!({}));
    let unknown = PodFacts {
        namespace_annotations: None,
        ..pod(USUAL)
    };
    let refused = decide(&unknown, &conf).unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"annotations of namespace `default` are settings of pods of Linkerd, but the facts about the pod have no `namespace_annotations`");
    assert!(decide(&crate::decide::productpage(), &conf).is_ok());
    // These sources know nothing but pods.
    for source in [PodSourceName::File, PodSourceName::Runtime] {
        let mut conf = conf.clone();
        conf.pod_source = source;
        assert!(decide(&unknown, &conf).is_ok());
    }
    let mut known = pod(USUAL);
    let annotation = ("config.linkerd.io/skip-outbound-ports", "25");
    known.namespace_annotations = Some([(annotation.0.to_owned(), annotation.1.to_owned())].into());
    assert!(rules(&redirection(&known, &conf)).contains("--dports 25 "));
}

#[test]
fn a_configuration_names_the_annotations_of_namespaces_that_it_reads() {
    let read = |profile: &Value| {
        let entry = json!({"profile": profile}).to_string();
        let conf = MeshConf::from_json(&entry).unwrap().conf;
        (
            conf.needs_namespaces(),
            conf.namespace_annotations().count(),
        )
    };
    assert_eq!(read(&json!("linkerd")), (true, 7));
    assert_eq!(read(&json!(["asm", "linkerd", "kuma"])), (true, 7));
    assert_eq!(read(&json!(["asm", "kuma"])), (false, 0));
}

#[test]
fn a_pod_of_the_control_plane_connects_to_the_api_without_the_proxy() {
    let spec = USUAL.replace("{}}", "{linkerd.io/control-plane-component: destination}}");
    let mut conf = conf(&json!({"outbound-ports-to-ignore": ["4567"]}));
    assert!(rules(&redirection(&pod(&spec), &conf)).contains("--dports 4567,443,6443 "));
    conf.kube_api_ports = vec![8443].into();
    assert!(rules(&redirection(&pod(&spec), &conf)).contains("--dports 4567,8443 "));
    let spec = USUAL.replace("{}}", "{linkerd.io/control-plane-component: ''}}");
    assert!(!rules(&redirection(&pod(&spec), &conf)).contains("8443"));
}

#[test]
fn a_proxy_whose_user_the_rules_redirect_is_a_warning_or_refused() {
    let conf = conf(&json!({}));
    let as_user = |user: &str| pod(&USUAL.replace("{runAsUser: 2102}", user));
    let named = redirection(&as_user("{runAsUser: 3000}"), &conf);
    assert!(rules(&named).contains("--uid-owner 3000 "), "{named:?}");
    let root = redirection(&as_user("{runAsUser: 0}"), &conf);
    assert!(
        root.warnings[0]
            .message
            .contains("linkerd-proxy runs as root"),
        "{root:?}"
    );
    let none = redirection(
        &as_user("{runAsUser: 0}"),
        &self::conf(&json!({"proxy-uid": 0})),
    );
    assert!(
        none.warnings[0]
            .message
            .contains("exempt no user and no group"),
        "{none:?}"
    );

    let mut of_the_pod = as_user("{}");
    (of_the_pod.run_as_user, of_the_pod.run_as_group) = (Some(1000), Some(1000));
    let refused = decide(&of_the_pod, &conf).unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"container linkerd-proxy sets no securityContext.runAsUser and runs as the pod's user 1000 and group 1000, which the rules redirect: its own traffic would return to it; set runAsUser and runAsGroup of linkerd-proxy, usually to 2102");
}

#[test]
fn ipv6_without_rules_is_a_warning() {
    let mut facts = pod(USUAL);
    facts.addresses = vec!["fd00::7".parse().unwrap()];
    let warned = redirection(&facts, &conf(&json!({})));
    insta::assert_snapshot!(warned.warnings[0], @"the pod has address fd00::7 and gets no IPv6 rules: IPv6 traffic bypasses the proxy; set field `ipv6` of the plugin's configuration to `reject` or `redirect`, or `ipv6` in field `linkerd` to true [ipv6-without-rules]");
    let mut conf = conf(&json!({}));
    conf.ipv6 = mesh_cni_plan::Ipv6Mode::Redirect;
    assert_eq!(redirection(&facts, &conf).rule_sets.len(), 2);
}

#[test]
fn an_invalid_field_of_linkerd_is_refused_by_its_name() {
    let refusals: Vec<_> = [
        json!({"inbound-ports-to-ignore": ["4191", "http"]}),
        json!({"outbound-ports-to-ignore": ["90-80"]}),
        json!({"subnets-to-ignore": ["10.0.0.1"]}),
        json!({"incoming-proxy-port": 0}),
        json!({"outgoing-proxy-port": 65536}),
        json!({"proxy-uid": 4_294_967_295_i64}),
        json!({"simulate": true}),
        json!({"iptables-mode": "ebpf"}),
        json!("linkerd"),
        json!([]),
        json!([4143, 4140]),
    ]
    .iter()
    .map(|linkerd| {
        let entry = json!({"profile": "linkerd", "linkerd": linkerd}).to_string();
        let error = MeshConf::from_json(&entry).unwrap_err();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    })
    .collect();
    crate::assert_snapshot!(
        "linkerd-refusals",
        "one line for each invalid value: the field, its value, and what is allowed",
        refusals.join("\n")
    );
    let decoded = MeshConf::from_json(r#"{"linkerd": {"ports": 1}}"#).unwrap();
    assert_eq!(decoded.unknown, ["linkerd.ports"]);
}
