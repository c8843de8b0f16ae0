//! Bad input: the code of the specification, one line, the remedy, and a non-zero exit.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Call, Node, productpage};

/// The situations, each with the call that meets it.
fn situations(node: &Node) -> Vec<(&'static str, Call)> {
    let add = || node.call("ADD");
    let conf = |change: &dyn Fn(&mut Value)| {
        let mut conf = node.conf();
        change(&mut conf);
        add().stdin(conf)
    };
    let pod = |name: &str| {
        add().with(
            "CNI_ARGS",
            &format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}"),
        )
    };
    vec![
        (
            "configuration is no JSON",
            add().stdin("{\"cniVersion\": \"1.0.0\","),
        ),
        ("configuration is empty", add().stdin("")),
        ("configuration is a list", add().stdin("[]")),
        (
            "a version that nobody speaks",
            conf(&|conf| conf["cniVersion"] = json!("9.9.9")),
        ),
        ("no name", conf(&|conf| conf["name"] = json!(""))),
        (
            "a field of the wrong type",
            conf(&|conf| conf["exclude_namespaces"] = json!("all")),
        ),
        (
            "an unknown profile",
            conf(&|conf| conf["profile"] = json!("linkerd")),
        ),
        (
            "a default that does not parse",
            conf(&|conf| {
                conf["defaults"] = json!({"excludeInboundPorts": "22,ssh"});
            }),
        ),
        (
            "a back end of a later version",
            conf(&|conf| conf["backend"] = json!("netlink")),
        ),
        (
            "a pod source of a later version",
            conf(&|conf| conf["pod_source"] = json!("agent")),
        ),
        (
            "no pod directory",
            conf(&|conf| conf["pod_dir"] = Value::Null),
        ),
        (
            "a pod directory that is not there",
            conf(&|conf| conf["pod_dir"] = json!("/no/pods")),
        ),
        (
            "no previous result",
            conf(&|conf| conf["prevResult"] = Value::Null),
        ),
        (
            "a previous result that is none",
            conf(&|conf| conf["prevResult"] = json!("eth0")),
        ),
        (
            "an address that is none",
            conf(&|conf| {
                conf["prevResult"]["ips"] = json!([{"address": "10.0.0.300/24"}]);
            }),
        ),
        (
            "a selector that needs labels",
            conf(&|conf| {
                conf["exclude_namespace_selector"] = json!("mesh=off");
            }),
        ),
        (
            "nothing in the environment",
            add()
                .without("CNI_CONTAINERID")
                .without("CNI_NETNS")
                .without("CNI_IFNAME"),
        ),
        (
            "a namespace that is not there",
            add().with("CNI_NETNS", "/run/netns/no-such-namespace"),
        ),
        (
            "a namespace that is none",
            add().with("CNI_NETNS", "/etc/hostname"),
        ),
        (
            "the plugin's own namespace",
            add().with("CNI_NETNS", "/proc/self/ns/net"),
        ),
        ("an unknown command", node.call("REMOVE")),
        ("a pod whose name leads elsewhere", pod("../../etc/shadow")),
        ("a pod without a manifest", pod("details")),
        ("a manifest that is no YAML", pod("broken")),
        ("a manifest that is no pod", pod("service")),
        ("a manifest of another pod", pod("impostor")),
        (
            "a manifest of an earlier pod",
            add().with(
                "CNI_ARGS",
                "K8S_POD_NAMESPACE=default;K8S_POD_NAME=productpage;K8S_POD_UID=another",
            ),
        ),
        ("an annotation that does not parse", pod("ports")),
        ("a namespace that cannot be entered", add()),
        (
            "CHECK without a previous result",
            node.call("CHECK").stdin({
                let mut conf = node.conf();
                conf["prevResult"] = Value::Null;
                conf
            }),
        ),
        (
            "CHECK of a namespace that cannot be entered",
            node.call("CHECK"),
        ),
        ("STATUS of a version without it", node.call("STATUS")),
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
fn every_refusal_has_a_code_one_line_and_a_remedy() {
    let node = Node::new();
    write_pods(&node);
    let mut table = String::new();
    for (situation, call) in situations(&node) {
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
        "for each situation the code, the line that `kubectl describe pod` shows, and behind the \
         arrow what to do; nothing is redirected by any of them",
        table
    );
}
