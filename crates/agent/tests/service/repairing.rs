//! The requests of repair to the API server, and what it does when they fail.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::{ApiServer, Fault};
use crate::limits::with_large_settings;
use crate::objects::pod;

const UID: &str = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";
const POD: &str = "/api/v1/namespaces/shop/pods/cart";
const DELETE: &[&str] = &[
    "--repair-enabled=true",
    "--repair-repair-pods=false",
    "--repair-delete-pods=true",
];
const LABEL: &[&str] = &[
    "--repair-enabled=true",
    "--repair-repair-pods=false",
    "--repair-label-pods=true",
];

/// A pod whose validation fails, at that version.
fn failing(uid: &str, version: &str) -> Value {
    let mut pod = pod("cart", uid);
    pod["metadata"]["resourceVersion"] = json!(version);
    pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "controller": true}]);
    pod["status"]["initContainerStatuses"] = json!([{
        "name": "istio-validation",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 126}},
        "restartCount": 1,
    }]);
    pod
}

fn start(server: &ApiServer, flags: &[&str]) -> Agent {
    Agent::start(flags, |directory| server.kubeconfig(directory))
}

fn pod_changes(server: &ApiServer) -> Vec<(String, Value)> {
    let changes = server.changes().into_iter();
    changes
        .filter(|(request, _)| request.contains("/pods/"))
        .collect()
}

#[test]
fn a_pod_is_deleted_with_uid_version_and_grace_period() {
    let server = ApiServer::new([failing(UID, "7")]);
    server.fail("/pods/cart", Fault::Status(500));
    // The first deletion fails, and the pod changes before the second.
    let agent = start(&server, DELETE);
    agent.wait_for_line("answered 500");
    server.replace(failing(UID, "8"));
    agent.wait_for_line("it was deleted");
    let changes = pod_changes(&server);
    let (request, body) = &changes[0];
    assert_eq!(request, &format!("DELETE {POD}"));
    let preconditions = json!({"uid": UID, "resourceVersion": "8"});
    assert_eq!(body["preconditions"], preconditions);
    assert_eq!(body["gracePeriodSeconds"], Value::Null);
    assert_eq!(changes.len(), 1, "once: {changes:?}");
}

#[test]
fn nothing_is_deleted_while_the_plugin_is_not_installed() {
    let node = tempfile::tempdir().unwrap();
    let path = |name: &str| node.path().join(name).display().to_string();
    let (bin, conf, plugin) = (path("bin"), path("net.d"), path("mesh-cni"));
    for directory in [&bin, &conf] {
        fs::create_dir(directory).unwrap();
    }
    fs::write(&plugin, "the plugin").unwrap();
    let install = [
        "--plugin-binary",
        &plugin,
        "--cni-bin-dir",
        &bin,
        "--cni-conf-dir",
        &conf,
        "--plugin-log-level",
        "debug",
    ];
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, &[DELETE, &install].concat());
    agent.wait_for_line("deletion postponed: this node's plugin is not ready");
    assert_eq!(pod_changes(&server), []);
    let list = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;
    fs::write(format!("{conf}/10-calico.conflist"), list).unwrap();
    agent.wait_for_line("it was deleted");
    assert_eq!(pod_changes(&server)[0].0, format!("DELETE {POD}"));
}

#[test]
fn there_is_a_pause_between_deletions() {
    let mut other = failing("another-uid", "8");
    other["metadata"]["name"] = json!("till");
    let server = ApiServer::new([failing(UID, "7"), other]);
    let flags = [DELETE, &["--plugin-log-level", "debug"]].concat();
    let agent = start(&server, &flags);
    agent.wait_for_line("it was deleted");
    agent.wait_for_line("deletion postponed: another pod was deleted just now");
    agent.wait_for_line("it was deleted");
    let deleted: Vec<_> = pod_changes(&server).into_iter().map(|it| it.0).collect();
    assert_eq!(
        deleted,
        [
            format!("DELETE {POD}"),
            format!("DELETE {}", POD.replace("cart", "till"))
        ]
    );
}

#[test]
fn a_new_pod_of_the_same_name_is_neither_deleted_nor_labelled() {
    for flags in [DELETE, LABEL] {
        let server = ApiServer::new([failing(UID, "7")]);
        server.fail("/pods/cart", Fault::Status(409));
        let agent = start(&server, flags);
        agent.wait_for_line("not needed: the API server answered 409");
        server.replace(failing("another-uid", "9"));
        agent.wait_for_line("not needed: another pod has its name now");
        assert_eq!(pod_changes(&server), []);
    }
}

#[test]
fn a_label_is_set_once_with_the_version() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, LABEL);
    agent.wait_for_line("it stays broken");
    server.send("MODIFIED", &failing(UID, "8"));
    server.send("DELETED", &failing(UID, "9"));
    server.send("ADDED", &failing("another-uid", "10"));
    agent.wait_for_line("not needed: another pod has its name now");
    let change = json!({"metadata": {
        "resourceVersion": "7",
        "labels": {"cni.istio.io/uninitialized": "true"},
    }});
    assert_eq!(pod_changes(&server), [(format!("PATCH {POD}"), change)]);
}

#[test]
fn a_missing_right_is_reported() {
    let server = ApiServer::new([failing(UID, "7")]);
    for _ in 0..2 {
        server.fail("/pods/cart", Fault::Status(403));
    }
    let agent = start(&server, LABEL);
    let line = agent.wait_for_line("answered 403");
    assert!(
        line.contains("give the agent's role the right: get pods"),
        "{line}"
    );
    agent.wait_for_line("labelled cni.istio.io/uninitialized=true");
}

#[test]
fn a_refusal_of_an_admission_policy_is_not_a_missing_right() {
    let server = ApiServer::new([failing(UID, "7")]);
    for _ in 0..2 {
        server.fail("/pods/cart?", Fault::Refused);
    }
    let agent = start(&server, LABEL);
    let line = agent.wait_for_line("answered 403");
    assert!(line.contains("change the admission policy"), "{line}");
    assert!(!line.contains("give the agent's role"), "{line}");
}

#[test]
fn a_pod_with_large_settings_is_repaired_like_any_other() {
    let server = ApiServer::new([with_large_settings(failing(UID, "7"))]);
    let agent = start(&server, DELETE);
    agent.wait_for_line("it was deleted");

    let mut is_static = with_large_settings(failing(UID, "7"));
    is_static["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("m");
    let server = ApiServer::new([is_static]);
    let agent = start(&server, DELETE);
    agent.wait_for_line("the kubelet runs it from a file on the node");
    assert_eq!(pod_changes(&server), []);
}

#[test]
fn forged_failures_of_one_namespace_do_not_delay_the_pods_of_another() {
    let forged = (0..40).map(|number| {
        let mut pod = failing(&format!("forged-{number}"), "7");
        pod["metadata"]["namespace"] = json!("forged");
        pod["metadata"]["name"] = json!(format!("a{number}"));
        pod
    });
    let server = ApiServer::new(forged.chain([failing(UID, "7")]));
    let agent = start(&server, DELETE);
    agent.wait_for_line("it was deleted");
    agent.wait_for_line("it was deleted");
    let deleted: Vec<_> = pod_changes(&server).into_iter().map(|it| it.0).collect();
    assert!(deleted.contains(&format!("DELETE {POD}")), "{deleted:?}");
}

#[test]
fn status_and_page_report_a_failed_repair() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, &["--repair-enabled=true"]);
    agent.wait_for_line("repair: backing off");
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    let repair = &status["repair"];
    assert_eq!(repair["remedies"], json!(["repair"]));
    assert_eq!(repair["pods"][0]["pod"], "shop/cart");
    let why = repair["pods"][0]["why"].as_str().unwrap();
    assert!(why.contains("no process of the pod is visible"), "{why}");
    let page = agent.get("/").body;
    assert!(page.contains("Why it is broken"), "{page}");
}

#[test]
fn the_status_command_reports_repairs_and_broken_pods() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, LABEL);
    agent.wait_for_line("it stays broken");
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .args(["status", "--cni-bin-dir", "/nonexistent"])
        .arg("--cni-conf-dir")
        .arg(agent.directory())
        .arg("--run-dir")
        .arg(agent.run_dir())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let expected =
        "repair (label): 1 done, 0 failed, 1 broken\n  shop/cart: it is broken and labelled\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn repair_without_an_action_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .args(["run", "--node-name", "node-1", "--repair-enabled=true"])
        .args(["--repair-repair-pods=false", "--install=false"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("no action for broken pods is enabled"),
        "{text}"
    );
    assert!(text.contains("hint: set --repair-repair-pods"), "{text}");
}
