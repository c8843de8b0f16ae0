//! Lists of pods, and pods of a node by their name.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Run, assert_snapshot};

/// A list with a redirected pod, one without a name, a skipped pod, and another object, as a
/// document after another one.
const PODS: &str = "kind: ConfigMap
---
kind: List
items:
- kind: Pod
  metadata: {namespace: shop, name: cart-0, annotations: {sidecar.istio.io/status: '{}'}}
  spec: {containers: [{name: app}, {name: istio-proxy}]}
  status: {podIP: 10.0.0.7}
- kind: Pod
  metadata: {namespace: shop, name: broken}
  spec: {containers: app}
- kind: Service
- kind: Pod
  metadata: {namespace: shop, name: cron}
  spec: {containers: [{name: app}]}
";

const PACKET: [&str; 2] = ["--packet", "out tcp 192.0.2.1:80 uid 1000"];

#[test]
fn each_pod_has_its_own_result() {
    let commands: [&[&str]; 4] = [
        &["select"],
        &["render", "--format", "restore"],
        &["explain", "--matched", PACKET[0], PACKET[1]],
        &["select", "--output", "json"],
    ];
    let mut text = String::new();
    for command in commands {
        let ended = Run::new(&[command, &["--pod", "-"]].concat()).with_input(PODS);
        writeln!(text, "$ mesh-cnictl {} --pod -\n{ended}", command.join(" ")).unwrap();
    }
    assert_snapshot!(
        "several-pods",
        "exit 2 each, because item 3 is invalid; the results of the two other pods",
        text
    );
}

#[test]
fn json_of_several_pods_is_an_array_with_their_names() {
    for command in [
        &["render", "--format", "json"][..],
        &["explain", "--output", "json", PACKET[0], PACKET[1]],
    ] {
        let ended = Run::new(&[command, &["--pod", "-"]].concat()).with_input(PODS);
        let documents: Value = serde_json::from_str(&ended.stdout).unwrap();
        let names: Vec<_> = documents
            .as_array()
            .unwrap()
            .iter()
            .map(|document| &document["name"])
            .collect();
        let wanted = if command[0] == "render" {
            vec!["cart-0"]
        } else {
            vec!["cart-0", "cron"]
        };
        assert_eq!(names, wanted, "{command:?}");
        assert_eq!(documents[0]["namespace"], "shop");
    }
}

/// A node whose pod source is a directory of manifests.
fn node(names: &[&str]) -> tempfile::TempDir {
    let node = tempfile::tempdir().unwrap();
    let pods = node.path().join("pods");
    fs::create_dir(&pods).unwrap();
    for name in names {
        let pod = json!({
            "kind": "Pod", "metadata": {"namespace": "shop", "name": name},
            "spec": {"containers": [{"name": "app"}]},
        });
        fs::write(pods.join(format!("shop_{name}.json")), pod.to_string()).unwrap();
    }
    let entry = json!({"type": "mesh-cni", "pod_source": "file", "pod_dir": pods});
    let list = json!({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "bridge"}, entry]});
    fs::write(node.path().join("10-n.conflist"), list.to_string()).unwrap();
    node
}

/// The command's end, with `NODE` for the directory.
fn on_node(node: &Path, arguments: &[&str]) -> String {
    let directory = node.to_str().unwrap();
    let arguments = [arguments, &["--cni-conf-dir", directory]].concat();
    Run::new(&arguments)
        .with_input("")
        .to_string()
        .replace(directory, "NODE")
}

#[test]
fn a_pod_of_the_node_is_found_by_its_name() {
    let node = node(&["cart-6b9f5d4f7c-x2k8q", "cart-6b9f5d4f7c-9wbzd", "web-0"]);
    let commands: [&[&str]; 5] = [
        &["select", "--pod", "shop/web-0"],
        &["render", "--pod", "shop/web-0"],
        &["explain", "--pod", "shop/web-0", PACKET[0], PACKET[1]],
        &["select", "--pod", "shop/cart"],
        &["select", "--pod", "default/other"],
    ];
    let mut text = String::new();
    for command in commands {
        let ended = on_node(node.path(), command);
        writeln!(text, "$ mesh-cnictl {}\n{ended}", command.join(" ")).unwrap();
    }
    assert_snapshot!(
        "pod-of-the-node",
        "exit 1, 1, 0 for a pod without a proxy; exit 2 for a Deployment's name with the names of its pods, and for an \
         unknown one with a command that lists them",
        text
    );
}
