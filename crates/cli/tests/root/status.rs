//! `status`: back ends, the choice of `auto`, plugin and agent, with each exit code.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

use mesh_cni_netns::{BackendProbeCache, Xtables};
use serde_json::Value;

use crate::machine::{mesh_cnictl, output, stdout};

/// A node with its three directories.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for name in ["bin", "net.d", "run"] {
            fs::create_dir(node.path(name)).unwrap();
        }
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn install(&self) {
        let binary = self.path("bin/mesh-cni");
        fs::write(&binary, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let list = r#"{"cniVersion": "1.0.0", "name": "n",
            "plugins": [{"type": "bridge"}, {"type": "mesh-cni"}]}"#;
        fs::write(self.path("net.d/10-n.conflist"), list).unwrap();
    }

    /// The exit code, and the report as text or JSON.
    fn status(&self, format: &str) -> (Option<i32>, String) {
        let mut command = mesh_cnictl(&["status", "--output", format]);
        let directories = [
            ("--cni-bin-dir", "bin"),
            ("--cni-conf-dir", "net.d"),
            ("--run-dir", "run"),
        ];
        for (flag, name) in directories {
            command.arg(flag).arg(self.path(name));
        }
        let ended = output(&mut command);
        let text = stdout(&ended).replace(&self.0.path().display().to_string(), "NODE");
        (ended.status.code(), text)
    }

    fn json(&self) -> (Option<i32>, Value) {
        let (code, text) = self.status("json");
        (code, serde_json::from_str(&text).unwrap())
    }
}

/// Removes the kernel's release, which differs between machines.
fn without_kernel(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("kernel "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_node_that_is_ready() {
    let node = Node::new();
    node.install();
    let (code, text) = node.status("text");
    assert_eq!(code, Some(0), "{text}");
    insta::assert_snapshot!(without_kernel(&text), @r"
    back ends netlink          works
              nft-native       works
              iptables-nft     works
              iptables-legacy  works
    auto      netlink          the preferred back end works; probed now; the first ADD caches its choice until the next boot
    plugin    installed in NODE/net.d/10-n.conflist
    agent     none             no agent has run here: `NODE/run/agent.sock` does not exist
    ");
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report["kernel"], release.trim());
    assert_eq!(report["backends"][0]["works"], true);
    assert_eq!(report["auto"]["backend"], "netlink");
    assert_eq!(report["plugin"]["installed"], true);
    assert_eq!(report["agent"]["state"], "none");
}

#[test]
fn a_node_without_the_plugin() {
    let node = Node::new();
    let (code, report) = node.json();
    assert_eq!(code, Some(1));
    assert_eq!(report["plugin"]["installation"], "not installed");
    assert_ne!(report["plugin"]["problems"][0], Value::Null);
}

#[test]
fn the_cached_choice_of_auto_is_shown_with_its_reason() {
    let node = Node::new();
    node.install();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let mut cache = BackendProbeCache::probe(&xtables);
    cache.results[0].1 = Err("no nft_compat".to_owned());
    cache.store(Path::new(&node.path("run")), &xtables).unwrap();
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    assert_eq!(report["auto"]["backend"], "nft-native");
    insta::assert_snapshot!(report["auto"]["reason"].as_str().unwrap(), @"the first that works: netlink does not; cached in `NODE/run/backends`; a probe now gives a different result");
}

/// The node's status with an agent that sends this response.
fn with_agent(answer: &str) -> (Option<i32>, Value) {
    let node = Node::new();
    node.install();
    let listener = UnixListener::bind(node.path("run/agent.sock")).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let size = stream.read(&mut request).unwrap();
            assert!(request[..size].starts_with(b"GET /v1/status HTTP/1."));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        node.json()
    })
}

#[test]
fn a_node_whose_agent_is_running() {
    let (code, report) = with_agent(
        "HTTP/1.1 200 OK\r\n\r\n{\"state\": \"running\", \"why\": \"every check passes\", \"pods\": 3}",
    );
    assert_eq!(code, Some(0));
    assert_eq!(report["agent"]["state"], "running");
    assert_eq!(report["agent"]["why"], "every check passes");
}

#[test]
fn a_node_whose_agent_is_not_ready() {
    let (code, report) = with_agent(
        "HTTP/1.1 200 OK\r\n\r\n{\"state\": \"updating\", \"why\": \"watch: not heard yet\"}",
    );
    assert_eq!(code, Some(1));
    assert_eq!(report["plugin"]["installed"], true);
    assert_eq!(report["agent"]["state"], "updating");
    assert_eq!(report["agent"]["why"], "watch: not heard yet");
}

#[test]
fn a_node_whose_agent_sends_an_invalid_response() {
    let (code, report) = with_agent("HTTP/1.1 200 OK\r\n\r\nwell");
    assert_eq!(code, Some(1));
    assert_eq!(report["agent"]["state"], "silent");
    let why = report["agent"]["why"].as_str().unwrap();
    assert!(why.contains("cannot parse the response"), "{why}");
}

#[test]
fn a_node_whose_agent_does_not_answer() {
    let node = Node::new();
    node.install();
    drop(UnixListener::bind(node.path("run/agent.sock")).unwrap());
    let (code, text) = node.status("text");
    assert_eq!(code, Some(1));
    let last = text.lines().last().unwrap();
    insta::assert_snapshot!(last, @"agent     no answer        no agent answers at `NODE/run/agent.sock`: the connection failed: Connection refused (os error 111)");
}

#[test]
fn wrong_use() {
    let ended = output(&mut mesh_cnictl(&["status", "--cni-bin", "x"]));
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(stdout(&ended), "");
}

#[test]
fn a_node_that_cannot_be_inspected() {
    let node = Node::new();
    node.install();
    let folder = node.path("net.d");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file in place of the directory").unwrap();
    let (code, text) = node.status("text");
    assert_eq!((code, text.as_str()), (Some(3), ""));
}
