//! `status`: what works on this machine, what `auto` would take, whether the plugin is called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mesh_cni_netns::{Survey, Xtables};
use serde_json::Value;

use crate::machine::{mesh_cnictl, output, stdout};

/// A node of three directories.
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

/// The kernel has another release on every machine.
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
    auto      netlink          the first of all, and it works; asked now; the first ADD since the machine started remembers it
    plugin    installed in NODE/net.d/10-n.conflist
    ");
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report["kernel"], release.trim());
    assert_eq!(report["backends"][0]["works"], true);
    assert_eq!(report["auto"]["backend"], "netlink");
    assert_eq!(report["plugin"]["installed"], true);
}

#[test]
fn a_node_without_the_plugin() {
    let node = Node::new();
    let (code, report) = node.json();
    assert_eq!(code, Some(1));
    assert_eq!(report["plugin"]["installation"], "not installed");
    assert_ne!(report["plugin"]["ailments"][0], Value::Null);
}

#[test]
fn the_memory_of_auto_is_told_with_its_reasons() {
    let node = Node::new();
    node.install();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let mut survey = Survey::take(&xtables);
    survey.verdicts[0].1 = Err("no nft_compat".to_owned());
    survey
        .remember(Path::new(&node.path("run")), &xtables)
        .unwrap();
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    assert_eq!(report["auto"]["backend"], "nft-native");
    insta::assert_snapshot!(report["auto"]["reason"].as_str().unwrap(), @"the first that works, since netlink does not; remembered in NODE/run/backends; asked now, another one would come first");
}
