//! What repair sends to the API server, and what it does where it is refused.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::{ApiServer, Fault};
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

fn changes_of_pods(server: &ApiServer) -> Vec<(String, Value)> {
    let changes = server.changes().into_iter();
    changes
        .filter(|(what, _)| what.contains("/pods/"))
        .collect()
}

#[test]
fn a_pod_is_deleted_by_uid_and_version_and_gracefully() {
    let server = ApiServer::new([failing(UID, "7")]);
    server.fail("/pods/cart", Fault::Status(500));
    // Another writer is faster than the first deletion.
    let agent = start(&server, DELETE);
    agent.said("answered 500");
    server.replace(failing(UID, "8"));
    agent.said("it was deleted");
    let changes = changes_of_pods(&server);
    let (what, sent) = &changes[0];
    assert_eq!(what, &format!("DELETE {POD}"));
    let only = json!({"uid": UID, "resourceVersion": "8"});
    assert_eq!(sent["preconditions"], only);
    assert_eq!(sent["gracePeriodSeconds"], Value::Null);
    assert_eq!(changes.len(), 1, "once: {changes:?}");
}

#[test]
fn nothing_is_deleted_while_the_nodes_plugin_is_not_in_place() {
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
    agent.said("is deleted later: this node's plugin is not ready");
    assert_eq!(changes_of_pods(&server), []);
    let list = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;
    fs::write(format!("{conf}/10-calico.conflist"), list).unwrap();
    agent.said("it was deleted");
    assert_eq!(changes_of_pods(&server)[0].0, format!("DELETE {POD}"));
}

#[test]
fn deletions_follow_each_other_slowly() {
    let mut other = failing("another-uid", "8");
    other["metadata"]["name"] = json!("till");
    let server = ApiServer::new([failing(UID, "7"), other]);
    let flags = [DELETE, &["--plugin-log-level", "debug"]].concat();
    let agent = start(&server, &flags);
    agent.said("it was deleted");
    agent.said("is deleted later: another was deleted just now");
    agent.said("it was deleted");
    let deleted: Vec<_> = changes_of_pods(&server)
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(
        deleted,
        [
            format!("DELETE {POD}"),
            format!("DELETE {}", POD.replace("cart", "till"))
        ]
    );
}

#[test]
fn a_pod_that_was_made_again_is_neither_deleted_nor_labelled() {
    for flags in [DELETE, LABEL] {
        let server = ApiServer::new([failing(UID, "7")]);
        server.fail("/pods/cart", Fault::Status(409));
        let agent = start(&server, flags);
        agent.said("not needed: the API server answered 409");
        server.replace(failing("another-uid", "9"));
        agent.said("not needed: another pod has its name now");
        assert_eq!(changes_of_pods(&server), []);
    }
}

#[test]
fn a_label_is_set_at_that_version_and_once() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, LABEL);
    agent.said("it stays broken");
    server.tell("MODIFIED", &failing(UID, "8"));
    server.tell("DELETED", &failing(UID, "9"));
    server.tell("ADDED", &failing("another-uid", "10"));
    agent.said("not needed: another pod has its name now");
    let change = json!({"metadata": {
        "resourceVersion": "7",
        "labels": {"cni.istio.io/uninitialized": "true"},
    }});
    assert_eq!(changes_of_pods(&server), [(format!("PATCH {POD}"), change)]);
}

#[test]
fn a_missing_right_is_named_with_its_remedy() {
    let server = ApiServer::new([failing(UID, "7")]);
    for _ in 0..2 {
        server.fail("/pods/cart", Fault::Status(403));
    }
    let agent = start(&server, LABEL);
    let line = agent.said("answered 403");
    assert!(
        line.contains("give the agent's role the right: get pods"),
        "{line}"
    );
    agent.said("labelled cni.istio.io/uninitialized=true");
}

#[test]
fn a_failing_repair_is_told_by_status() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, &["--repair-enabled=true"]);
    agent.said("repair: waits");
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
fn the_status_command_counts_repairs_and_names_broken_pods() {
    let server = ApiServer::new([failing(UID, "7")]);
    let agent = start(&server, LABEL);
    agent.said("it stays broken");
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
    let told =
        "repair (label): 1 done, 0 failed, 1 broken\n  shop/cart: it is broken, and labelled\n";
    assert!(text.ends_with(told), "{text}");
}

#[test]
fn repair_without_a_remedy_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .args(["run", "--node-name", "node-1", "--repair-enabled=true"])
        .args(["--repair-repair-pods=false", "--install=false"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("nothing is to be done about broken pods"),
        "{text}"
    );
    assert!(text.contains("hint: set --repair-repair-pods"), "{text}");
}
