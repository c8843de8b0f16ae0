//! `mesh-cni-agent status` while the agent runs and afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::agent::Agent;
use crate::api_server::{ApiServer, Fault};
use crate::keeping::until_ready;
use crate::objects::pod;

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// The exit code and the JSON of `status`.
fn status(node: &Path, run_dir: &Path) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .args(["status", "--output", "json"])
        .args(flags(node))
        .arg("--run-dir")
        .arg(run_dir)
        .output()
        .unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code(), document)
}

fn flags(node: &Path) -> Vec<String> {
    let path = |name: &str| node.join(name).display().to_string();
    let flags = [
        ("--cni-bin-dir", path("bin")),
        ("--cni-conf-dir", path("net.d")),
        ("--plugin-binary", path("mesh-cni")),
    ];
    flags
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
}

/// The directories of a node with a network configuration.
fn node() -> tempfile::TempDir {
    let node = tempfile::tempdir().unwrap();
    for directory in ["bin", "net.d"] {
        fs::create_dir(node.path().join(directory)).unwrap();
    }
    fs::write(node.path().join("mesh-cni"), "the plugin").unwrap();
    fs::write(node.path().join("net.d/10-calico.conflist"), CALICO).unwrap();
    node
}

#[test]
fn status_is_running_while_the_agent_runs_and_updating_afterwards() {
    let node = node();
    let server = ApiServer::new([pod("cart", "c-1")]);
    let flags = flags(node.path());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    until_ready(&agent);
    let (code, document) = status(node.path(), &agent.run_dir());
    assert_eq!(document["state"], "running", "{document}");
    assert_eq!(document["agent"]["pods"], 1, "{document}");
    assert_eq!(code, Some(0));

    let run_dir = agent.run_dir();
    let (end, _directory) = agent.terminate();
    assert_eq!(end.code(), Some(0));
    let (code, document) = status(node.path(), &run_dir);
    assert_eq!(
        document["status"], "installed",
        "everything stays installed"
    );
    assert_eq!(document["state"], "updating");
    let why = document["why"].as_str().unwrap();
    assert!(why.starts_with("no agent answers on "), "{why}");
    assert_eq!(code, Some(1));
}

#[test]
fn status_contains_the_reason_for_updating() {
    let node = node();
    let server = ApiServer::new([]);
    for _ in 0..50 {
        server.fail("/api/v1/pods", Fault::Status(403));
    }
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_line("answered 403");
    let (code, document) = status(node.path(), &agent.run_dir());
    assert_eq!(document["state"], "updating");
    let why = document["why"].as_str().unwrap();
    assert!(why.contains("answered 403"), "{why}");
    assert_eq!(code, Some(1));
}
