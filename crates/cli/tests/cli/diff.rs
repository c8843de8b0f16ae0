//! `diff`: the pods that a changed configuration treats differently.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Ended, Run, assert_snapshot};

/// Two pods of a workload, one with settings of its own, one without a proxy, and an invalid setting.
const PODS: &str = "kind: List
items:
- &web
  kind: Pod
  metadata: {namespace: shop, name: web-0, annotations: {sidecar.istio.io/status: '{}'}}
  spec: &spec {containers: [{name: app}, {name: istio-proxy}]}
  status: {podIPs: [{ip: 10.0.0.7}, {ip: 'fd00::7'}]}
- kind: Pod
  metadata: {namespace: shop, name: web-1, annotations: {sidecar.istio.io/status: '{}'}}
  spec: *spec
  status: {podIPs: [{ip: 10.0.0.8}, {ip: 'fd00::8'}]}
- kind: Pod
  metadata: {namespace: blog, name: own-ports, annotations: {traffic.sidecar.istio.io/excludeInboundPorts: '22'}}
  spec: *spec
- kind: Pod
  metadata: {namespace: blog, name: cron}
  spec: {containers: [{name: app}]}
- kind: Pod
  metadata: {namespace: blog, name: refused, annotations: {traffic.sidecar.istio.io/excludeInboundPorts: x}}
  spec: *spec
";

fn diff(old: &Value, new: &Value, flags: &[&str]) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, fields: &Value| {
        let mut entry = json!({"type": "mesh-cni"});
        entry
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let path = directory.path().join(name);
        std::fs::write(&path, entry.to_string()).unwrap();
        path.display().to_string()
    };
    let (old, new) = (write("old", old), write("new", new));
    let files = ["diff", "--conf", &new, "--conf-old", &old, "--pods", "-"];
    Run::new(&[&files, flags].concat()).with_input(PODS)
}

#[test]
fn each_field_that_decides_or_programs() {
    let fields = [
        json!({}),
        json!({"exclude_namespaces": ["shop"]}),
        json!({"include_namespaces": ["blog"]}),
        json!({"defaults": {"excludeInboundPorts": "22"}}),
        json!({"defaults": {"interceptionMode": "TPROXY"}}),
        json!({"ruleset": "istio"}),
        json!({"selection": "istio"}),
        json!({"profile": "istio"}),
        json!({"ipv6": "reject"}),
        json!({"ipv6": "redirect"}),
        json!({"exclude_namespace_selector": "mesh=off"}),
        json!({"backend": "nft-native", "pod_source": "api", "plugin_log_level": "debug"}),
    ];
    let mut text = String::new();
    for new in fields {
        let ended = diff(&json!({}), &new, &[]);
        writeln!(text, "# {new}\n{ended}").unwrap();
    }
    assert_snapshot!(
        "diff-fields",
        "exit 0 for equal results; `shop/web-0` and `shop/web-1` are one group; with a selector of namespace labels \
         nothing is guessed; the pod with an invalid setting is refused unless its namespace is excluded",
        text
    );
}

#[test]
fn a_pod_that_is_no_longer_excluded_is_redirected() {
    let old = json!({"exclude_namespaces": ["shop"]});
    let ended = diff(&old, &json!({}), &["--verbose"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("+ IPv4 nat: -A ISTIO_INBOUND"),
        "{ended}"
    );
}

#[test]
fn json_has_the_groups() {
    let new = json!({"exclude_namespaces": ["shop"]});
    let ended = diff(&json!({}), &new, &["--output", "json"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["pods"], 5);
    assert_eq!(
        document["groups"][0]["pods"],
        json!(["shop/web-0", "shop/web-1"])
    );
    assert_eq!(document["groups"][0]["old"]["decision"], "redirect");
    assert_eq!(document["groups"][0]["new"]["decision"], "skip");
}

/// The decision for each pod as another release saved it, after a change.
fn diff_with_saved(change: impl FnOnce(&mut Vec<Value>)) -> Ended {
    let saved = Run::new(&["render", "--output", "json", "--pod", "-"]).with_input(PODS);
    assert_eq!(saved.code, Some(2), "{saved}");
    let mut saved: Vec<Value> = serde_json::from_str(&saved.stdout).unwrap();
    let decisions: Vec<_> = saved.iter().map(|pod| &pod["decision"]).collect();
    assert_eq!(
        decisions,
        ["redirect", "redirect", "redirect", "skip", "refuse"]
    );
    change(&mut saved);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.json");
    std::fs::write(&path, json!(saved).to_string()).unwrap();
    let path = path.display().to_string();
    Run::new(&[
        "diff",
        "--rules-old",
        &path,
        "--cni-conf-dir",
        "tests",
        "--pods",
        "-",
    ])
    .with_input(PODS)
}

#[test]
fn rules_of_another_release_are_compared() {
    let same = diff_with_saved(|_| {});
    assert_eq!(same.code, Some(0), "{same}");
    let different = diff_with_saved(|saved| {
        saved[0]["rules"].as_array_mut().unwrap().pop();
        saved[1]["decision"] = json!("unknown");
        saved[1]["reason"] = json!("the labels of namespace `shop` are missing");
        saved[2]["decision"] = json!("refuse");
        saved[3]["decision"] = json!("of a newer release");
        saved.pop();
    });
    assert_snapshot!(
        "diff-rules-old",
        "exit 1; one pod gets one rule more, one is no longer refused, and three are not known: one that the older \
         release did not save, one for which it lacked facts, and one with a decision that this release does not know",
        different
    );
}

#[test]
fn saved_rules_that_cannot_be_read_are_explained() {
    let ended = Run::new(&["diff", "--rules-old", "Cargo.toml", "--pods", "-"]).with_input(PODS);
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(
        ended.stderr.contains("rules `Cargo.toml`")
            && ended.stderr.contains("render --output json"),
        "{ended}"
    );
}

#[test]
fn the_pods_must_be_named() {
    let ended = Run::new(&["diff", "--conf", "-"]).with_input("{}");
    assert_eq!(ended.code, Some(2), "{ended}");
}
