//! Pods that are skipped, and commands that do nothing: the previous result is returned unchanged,
//! without a lookup.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Node, productpage};

const PREVIOUS: &str = r#"{"ips":[{"interface":0,"address":"10.1.2.3/24","com.example":{"b":1,"a":[2.50]}}],"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"0a:58:0a:f4:01:11","sandbox":"/x"}],"zz":12345678901234567890123,"dns":{"search":["svc"]},"kubernetes.io/unknown":null}"#;

/// A configuration as text that contains the previous result byte for byte.
fn conf_with(node: &Node, previous: &str) -> String {
    let mut conf = node.conf();
    conf.as_object_mut().unwrap().remove("prevResult");
    let text = conf.to_string();
    format!(
        "{},\"prevResult\":{previous}}}",
        text.strip_suffix('}').unwrap()
    )
}

#[test]
fn the_previous_result_is_returned_byte_for_byte() {
    let node = Node::new();
    let excluded = "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns";
    for args in ["", "IgnoreUnknown=1", excluded] {
        let call = node
            .call("ADD")
            .with("CNI_ARGS", args)
            .stdin(&conf_with(&node, PREVIOUS));
        let answer = call.run();
        assert_eq!(answer.code, 0, "{}", answer.stdout);
        assert_eq!(answer.stdout.trim_end(), PREVIOUS);
    }
}

#[test]
fn an_excluded_namespace_needs_no_pod_source() {
    let node = Node::new();
    fs::remove_dir_all(node.pods()).unwrap();
    let excluded = "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns";
    let answer = node.call("ADD").with("CNI_ARGS", excluded).run();
    assert_eq!(answer.code, 0, "{}", answer.stdout);
    assert!(
        answer.stderr.contains("[namespace-excluded]"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_pod_without_a_sidecar_is_skipped_with_its_reason_in_the_log() {
    let node = Node::new();
    node.write_pod(
        "default_plain.yaml",
        "{kind: Pod, metadata: {name: plain}, spec: {containers: [{name: a}, {name: b}]}}"
            .replace("{kind", "# not JSON\n{kind")
            .as_str(),
    );
    let plain = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=plain";
    let answer = node.call("ADD").with("CNI_ARGS", plain).run();
    assert_eq!(answer.code, 0, "{}", answer.stdout);
    assert!(
        answer.stderr.contains("[no-istio-proxy]"),
        "{}",
        answer.stderr
    );
    let check = node.call("CHECK").with("CNI_ARGS", plain).run();
    assert_eq!((check.code, check.stdout.as_str()), (0, ""));
}

#[test]
fn results_of_every_version_pass() {
    let node = Node::new();
    let ip4 = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.2.3/24"}});
    let ips = json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.2.3/24"}]});
    let new = json!({"cniVersion": "1.1.0", "ips": [{"address": "10.1.2.3/24"}]});
    for (version, previous) in [
        ("0.1.0", &ip4),
        ("0.2.0", &ip4),
        ("0.3.0", &ips),
        ("0.3.1", &ips),
        ("0.4.0", &ips),
        ("1.0.0", &new),
        ("1.1.0", &new),
    ] {
        let mut conf = node.conf();
        conf["cniVersion"] = json!(version);
        conf["prevResult"] = previous.clone();
        let answer = node.call("ADD").with("CNI_ARGS", "").conf(&conf).run();
        let mut expected = previous.clone();
        expected["cniVersion"] = json!(version);
        assert_eq!(answer.json(), expected, "{version}");
    }
}

#[test]
fn a_standalone_call_returns_an_empty_result() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["standalone"] = json!(true);
    conf["prevResult"] = Value::Null;
    let answer = node.call("ADD").with("CNI_ARGS", "").conf(&conf).run();
    assert_eq!(answer.code, 0);
    assert_eq!(answer.json()["cniVersion"], "1.0.0");
}

#[test]
fn del_succeeds_whatever_is_missing() {
    let node = Node::new();
    fs::remove_dir_all(node.pods()).unwrap();
    let mut odd = node.conf();
    odd["profile"] = json!(["odd"]);
    odd["prevResult"] = json!("gone");
    let calls = [
        node.call("DEL"),
        node.call("DEL").without("CNI_NETNS"),
        node.call("DEL").with("CNI_NETNS", ""),
        node.call("DEL")
            .with("CNI_NETNS", "/run/netns/no-such-namespace"),
        node.call("DEL").with("CNI_NETNS", "/etc/hostname"),
        node.call("DEL").with("CNI_NETNS", "/proc/self/ns/net"),
        node.call("DEL").without("CNI_ARGS"),
        node.call("DEL")
            .with("CNI_ARGS", "K8S_POD_NAME=productpage"),
        node.call("DEL")
            .with("CNI_ARGS", "K8S_POD_NAMESPACE=;K8S_POD_NAME="),
        node.call("DEL").conf(&odd),
    ];
    for call in calls.iter().chain(&calls) {
        let answer = call.run();
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (0, ""),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn gc_does_nothing() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["cniVersion"] = json!("1.1.0");
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "a", "ifname": "eth0"}]);
    let answer = node.call("GC").conf(&conf).run();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ""));
}

#[test]
fn without_a_command_it_prints_name_and_versions() {
    let node = Node::new();
    let answer = node.call("").without("CNI_COMMAND").run();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ""));
    assert!(answer.stderr.starts_with("mesh-cni "), "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0")
    );
}

#[test]
fn the_documented_manifest_has_a_proxy() {
    assert!(productpage().contains("name: istio-proxy"));
}

/// A copy by this process would be busy while another test starts a process.
fn copy_plugin(to: &Path) {
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_mesh-cni")).arg(to);
    assert!(copy.status().unwrap().success());
}

/// An uninstallation leaves the binary where another plugin's configuration names it.
#[test]
fn an_uninstalled_plugin_passes_every_pod_through() {
    let node = Node::new();
    let program = node.path().join("mesh-cni");
    copy_plugin(&program);
    let mark = node.path().join("mesh-cni.uninstalled");
    let mut conf: Value = serde_json::from_str(&conf_with(&node, PREVIOUS)).unwrap();
    conf["cniVersion"] = "1.1.0".into();
    conf["pod_source"] = "agent".into();
    let call = |command: &str, conf: &str| {
        let call = node.call(command).stdin(conf);
        call.of_program(&program).run()
    };
    let (chained, mut alone) = (conf_with(&node, PREVIOUS), conf.clone());
    alone["standalone"] = true.into();
    alone.as_object_mut().unwrap().remove("prevResult");
    for installed in [true, false] {
        if !installed {
            fs::write(&mark, "").unwrap();
        }
        for (command, conf) in [
            ("ADD", chained.clone()),
            ("ADD", alone.to_string()),
            ("CHECK", chained.clone()),
            ("STATUS", conf.to_string()),
        ] {
            let answer = call(command, &conf);
            assert_eq!(answer.code == 0, !installed, "{command}: {}", answer.stdout);
        }
    }
    assert_eq!(call("ADD", &chained).stdout.trim_end(), PREVIOUS);
    let empty = call("ADD", &alone.to_string()).json();
    assert_eq!(empty["cniVersion"], "1.1.0");
    assert_eq!(call("DEL", &chained).code, 0);
}

/// The mark is beside the binary, or beside the link by which a runtime starts it.
#[test]
fn an_uninstalled_plugin_passes_pods_through_when_a_link_starts_it() {
    let node = Node::new();
    let chained = conf_with(&node, PREVIOUS);
    let [program, link, second] = ["real", "links", "more-links"].map(|folder| {
        let folder = node.path().join(folder);
        fs::create_dir(&folder).unwrap();
        folder.join("mesh-cni")
    });
    copy_plugin(&program);
    symlink(&program, &link).unwrap();
    symlink(&link, &second).unwrap();
    let passes = |path: &Path| {
        let call = node.call("ADD").stdin(&chained);
        call.of_program(path).run().code == 0
    };
    let all = || [&program, &link, &second].map(|path| passes(path));
    assert_eq!(all(), [false; 3]);
    let mark = |path: &Path| path.with_file_name("mesh-cni.uninstalled");
    fs::write(mark(&program), "").unwrap();
    assert_eq!(all(), [true; 3]);
    fs::rename(mark(&program), mark(&link)).unwrap();
    assert_eq!(all(), [false, true, false]);
}
