//! Invalid input: a code, a one-line message, a remedy, and exit code 1.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Call, Node, productpage};

type Situation = (&'static str, Call);

/// A valid ADD with a changed configuration.
fn with(node: &Node, change: impl FnOnce(&mut Value)) -> Call {
    let mut conf = node.conf();
    change(&mut conf);
    node.call("ADD").conf(&conf)
}

/// A valid ADD with one changed field of its configuration.
fn set(node: &Node, field: &str, value: Value) -> Call {
    with(node, |conf| conf[field] = value)
}

fn input_and_configuration(node: &Node) -> Vec<Situation> {
    let input = |text| node.call("ADD").stdin(text);
    let defaults = json!({"excludeInboundPorts": "22,ssh"});
    let set = |field, value| set(node, field, value);
    vec![
        (
            "configuration is not JSON",
            input("{\"cniVersion\": \"1.0.0\","),
        ),
        ("configuration is empty", input("")),
        ("configuration is a list", input("[]")),
        ("an unsupported version", set("cniVersion", json!("9.9.9"))),
        ("no name", set("name", json!(""))),
        (
            "a field of the wrong type",
            set("exclude_namespaces", json!("all")),
        ),
        ("an unknown profile", set("profile", json!("consul"))),
        ("an invalid default", set("defaults", defaults)),
        ("no agent on the node", set("pod_source", json!("agent"))),
        (
            "no agent on the node, and no other source",
            set("pod_source", json!("auto")),
        ),
        ("no kubeconfig", set("pod_source", json!("api"))),
        (
            "a runtime that passes no annotations",
            set("pod_source", json!("runtime")),
        ),
        ("no pod directory", set("pod_dir", Value::Null)),
        (
            "a pod directory that does not exist",
            set("pod_dir", json!("/no/pods")),
        ),
        (
            "a selector that needs labels",
            set("exclude_namespace_selector", json!("mesh=off")),
        ),
    ]
}

fn previous_results(node: &Node) -> Vec<Situation> {
    let address = with(node, |conf| {
        conf["prevResult"]["ips"] = json!([{"address": "10.0.0.300/24"}]);
    });
    let mut unchained = node.conf();
    unchained["prevResult"] = Value::Null;
    vec![
        ("no previous result", set(node, "prevResult", Value::Null)),
        (
            "an invalid previous result",
            set(node, "prevResult", json!("eth0")),
        ),
        ("an invalid address", address),
        (
            "CHECK without a previous result",
            node.call("CHECK").conf(&unchained),
        ),
    ]
}

fn environments(node: &Node) -> Vec<Situation> {
    let add = || node.call("ADD");
    let netns = |path: &str| add().with("CNI_NETNS", path);
    let path = node.path().join("fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let fifo = path.display().to_string();
    let nothing = add()
        .without("CNI_CONTAINERID")
        .without("CNI_NETNS")
        .without("CNI_IFNAME");
    vec![
        ("an empty environment", nothing),
        (
            "a namespace that does not exist",
            netns("/run/netns/no-such-namespace"),
        ),
        ("a file that is not a namespace", netns("/etc/hostname")),
        ("a FIFO as namespace", netns(&fifo)),
        ("the plugin's own namespace", netns("/proc/self/ns/net")),
        ("a namespace that cannot be entered", add()),
        (
            "CHECK of a namespace that cannot be entered",
            node.call("CHECK"),
        ),
        ("an unknown command", node.call("REMOVE")),
        ("STATUS of a version without it", node.call("STATUS")),
    ]
}

fn pods(node: &Node) -> Vec<Situation> {
    let args = |args: &str| node.call("ADD").with("CNI_ARGS", args);
    let pod = |name| args(&format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}"));
    let another = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=productpage;K8S_POD_UID=another";
    vec![
        ("a pod name with a path", pod("../../etc/shadow")),
        (
            "a pod name without a namespace",
            args("K8S_POD_NAME=productpage"),
        ),
        (
            "a namespace without a pod name",
            args("K8S_POD_NAMESPACE=default"),
        ),
        (
            "an empty namespace",
            args("K8S_POD_NAMESPACE=;K8S_POD_NAME=productpage"),
        ),
        (
            "an empty pod name",
            args("K8S_POD_NAMESPACE=default;K8S_POD_NAME="),
        ),
        (
            "CHECK of a namespace without a pod name",
            node.call("CHECK")
                .with("CNI_ARGS", "K8S_POD_NAMESPACE=default"),
        ),
        ("a pod without a manifest", pod("details")),
        ("a manifest that is not YAML", pod("broken")),
        ("a manifest that is not a pod", pod("service")),
        ("a manifest of another pod", pod("impostor")),
        ("a manifest of an earlier pod", args(another)),
        ("an invalid annotation", pod("ports")),
    ]
}

fn write_pods(node: &Node) {
    let named =
        |name: &str| productpage().replace("name: productpage\n", &format!("name: {name}\n"));
    node.write_pod("default_broken.yaml", "metadata: {name: [");
    node.write_pod("default_service.json", "{\"kind\": \"Service\"}");
    node.write_pod("default_impostor.yml", &productpage());
    node.write_pod(
        "default_ports.yaml",
        &named("ports").replace("\"22,15020\"", "\"22, 99999\""),
    );
}

#[test]
fn every_refusal_has_a_code_a_message_and_a_remedy() {
    let node = Node::new();
    write_pods(&node);
    let mut table = String::new();
    let situations = [
        input_and_configuration(&node),
        previous_results(&node),
        environments(&node),
        pods(&node),
    ];
    for (situation, call) in situations.into_iter().flatten() {
        let answer = call.run();
        let error = answer.json();
        assert_eq!(answer.code, 1, "{situation}: {error}");
        assert_eq!(
            answer.stdout.lines().count(),
            1,
            "{situation}: one document"
        );
        assert!(error["cniVersion"].is_string(), "{situation}: {error}");
        let text = |field: &str| node.readable(error[field].as_str().expect(situation));
        let (msg, details) = (text("msg"), text("details"));
        for line in [&msg, &details] {
            assert!(
                !line.is_empty() && !line.contains('\n'),
                "{situation}: {line}"
            );
        }
        writeln!(
            table,
            "{situation}\n  {} {msg}\n  → {details}",
            error["code"]
        )
        .unwrap();
    }
    crate::support::assert_snapshot!(
        "refusals",
        "for each situation the code and message, and after the arrow the remedy; \
         `kubectl describe pod` shows them, and no rules are written",
        table
    );
}
