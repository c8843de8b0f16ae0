//! `mesh-cnictl check`: the cluster before and after the installation, and nodes with faults.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_tests::{finish, mesh_cnictl, must};
use serde_json::{Value, json};

use crate::mesh;
use crate::test_cluster::{MOST, TestCluster};
use crate::workload;

/// What the checks say of a cluster without mesh-cni.
pub(crate) fn before_the_installation(cluster: &mut TestCluster) {
    let (code, report) = check(cluster, &["--pre"]);
    insta::assert_snapshot!(statuses(&report), @r"
    ok api-server
    ok rights
    ok pod-security
    ok node-system
    ok container-runtime
    ok platform
    ok other-mesh-cni
    ok injector
    ok pods
    ");
    assert_eq!(code, 0, "{report:#}");
    println!("{}", text(cluster, &["--pre"]));
}

/// The checks wait until everything works.
pub(crate) fn after_the_installation(cluster: &mut TestCluster) {
    let (code, report) = check(cluster, &["--wait", "--timeout=5m"]);
    insta::assert_snapshot!(statuses(&report), @r"
    ok api-server
    ok agent-installed
    ok agent-ready
    ok plugin-installed
    ok cni-directories
    ok versions
    ok back-end
    ok rules
    ok pods
    ");
    assert_eq!(code, 0, "{report:#}");
    println!("{}", text(cluster, &[]));
}

/// A rule of a pod is deleted.
pub(crate) fn a_drifted_pod_is_named(cluster: &mut TestCluster) {
    let pod = workload::idle("default", "drifts");
    cluster.kubectl.apply(&pod.to_string());
    let pod = cluster.ready("default", "drifts");
    must(
        &cluster.netns(&pod),
        "iptables-nft -t nat -D ISTIO_INBOUND 6",
    );
    let finding = failed(cluster, "rules", "mesh-cnictl verify");
    assert_eq!(finding["names"], json!(["default/drifts"]), "{finding:#}");
    cluster.kubectl.must("delete pod drifts --wait");
    works(cluster);
}

/// The list loses the entry, and the agent is stopped, so nobody restores it.
pub(crate) fn a_missing_entry_is_named(cluster: &mut TestCluster) {
    let path = mesh::list_path(cluster);
    let whole = mesh::list(cluster);
    let agent = cluster
        .kubectl
        .get("pods --namespace=kube-system --selector=app.kubernetes.io/component=agent");
    let pid = cluster.pid(&agent["items"][0], &"agent".into());
    signal(cluster, "-STOP", pid);
    let mut list: Value = serde_json::from_str(&whole).expect("the list is JSON");
    let plugins = list["plugins"].as_array_mut().expect("a list has plugins");
    plugins.retain(|plugin| plugin["type"] != "mesh-cni");
    fs::write(&path, list.to_string()).expect("the list can be written");
    failed(
        cluster,
        "plugin-installed",
        "another program rewrote the list",
    );
    signal(cluster, "-CONT", pid);
    works(cluster);
}

/// The agent is given a directory that the runtime does not read.
pub(crate) fn a_wrong_directory_is_named(cluster: &mut TestCluster) {
    let patch = json!({"spec": {"template": {"spec": {"volumes": [
        {"name": "cni-conf", "hostPath": {"path": "/etc/cni/elsewhere", "type": "DirectoryOrCreate"}},
    ]}}}});
    patch_agent(cluster, &patch);
    failed(cluster, "agent-ready", "cniConfDir");
    mesh::enable(cluster);
    works(cluster);
}

/// The node has no agent.
pub(crate) fn a_node_without_an_agent_is_named(cluster: &mut TestCluster) {
    let term = json!({"matchExpressions": [{"key": "none", "operator": "Exists"}]});
    let affinity = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
    }});
    patch_agent(
        cluster,
        &json!({"spec": {"template": {"spec": {"affinity": affinity}}}}),
    );
    failed(cluster, "agent-missing", "describe daemonset");
    patch_agent(
        cluster,
        &json!({"spec": {"template": {"spec": {"affinity": null}}}}),
    );
    works(cluster);
}

/// Sends a signal to a process of the node.
fn signal(cluster: &TestCluster, signal: &str, pid: u64) {
    let mut command = cluster.node.isolated_host().command("kill");
    let sent = finish(command.args([signal, &pid.to_string()]), "");
    assert_eq!(sent.code, 0, "{}", sent.stderr);
}

fn patch_agent(cluster: &TestCluster, patch: &Value) {
    let patch = patch.to_string();
    let words = mesh::AGENT.split(' ').chain(["--patch", &patch]);
    let patched = cluster.kubectl.run(["patch"].into_iter().chain(words), "");
    assert_eq!(patched.code, 0, "{}", patched.stderr);
}

/// No check fails, at the latest after some minutes.
pub(crate) fn works(cluster: &TestCluster) {
    let (code, report) = check(cluster, &["--wait", "--timeout=5m"]);
    assert_eq!(code, 0, "{report:#}");
}

/// The finding with that identifier, as soon as its check fails with that hint. Before, it may fail for
/// another reason, such as an agent whose container is being created.
fn failed(cluster: &TestCluster, id: &str, hint: &str) -> Value {
    let deadline = Instant::now() + MOST;
    loop {
        let (code, report) = check(cluster, &[]);
        let findings = report["findings"].as_array().expect("a list");
        let has_hint = |each: &Value| each["hint"].as_str().is_some_and(|it| it.contains(hint));
        let is_failed =
            |each: &&Value| each["id"] == id && each["status"] == "failed" && has_hint(each);
        if let Some(finding) = findings.iter().find(is_failed) {
            assert_eq!(code, 1, "{report:#}");
            println!("{}", text(cluster, &[]));
            return finding.clone();
        }
        assert!(
            Instant::now() < deadline,
            "{id} did not fail with `{hint}`: {report:#}"
        );
        thread::sleep(Duration::from_secs(1));
    }
}

/// Each finding's status and identifier.
fn statuses(report: &Value) -> String {
    let findings = report["findings"].as_array().expect("a list");
    let line = |each: &Value| {
        let word = |field: &str| each[field].as_str().unwrap_or_default().to_owned();
        word("status") + " " + &word("id")
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn check(cluster: &TestCluster, flags: &[&str]) -> (i32, Value) {
    let mut command = cluster.kubectl.command_of(mesh_cnictl());
    let finished = finish(command.args(["check", "--output=json"]).args(flags), "");
    let report = serde_json::from_str(&finished.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
    (finished.code, report)
}

/// The same for people.
fn text(cluster: &TestCluster, flags: &[&str]) -> String {
    let mut command = cluster.kubectl.command_of(mesh_cnictl());
    finish(command.arg("check").args(flags), "").stdout
}
