//! The binary from outside: help, exit codes, what is said where.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// Compares with `tests/snapshots/NAME.snap`; the description tells what to look for.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}

/// A node, and the agent on it.
struct Node(TempDir);

impl Node {
    fn with(files: &[(&str, &str)]) -> Self {
        let node = Self(TempDir::new().unwrap());
        for directory in ["bin", "net.d"] {
            fs::create_dir(node.path().join(directory)).unwrap();
        }
        fs::write(node.path().join("mesh-cni"), "the plugin").unwrap();
        for (name, text) in files {
            fs::write(node.path().join("net.d").join(name), text).unwrap();
        }
        node
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn agent(&self, command: &str, flags: &[&str]) -> Command {
        let mut agent = agent(&[command]);
        agent
            .arg("--cni-bin-dir")
            .arg(self.path().join("bin"))
            .arg("--cni-conf-dir")
            .arg(self.path().join("net.d"));
        if command != "uninstall" && !flags.contains(&"--plugin-binary") {
            agent
                .arg("--plugin-binary")
                .arg(self.path().join("mesh-cni"));
        }
        agent.args(flags);
        agent
    }

    /// Exit code, stdout and stderr as one text, with the node's directory as NODE.
    fn transcript(&self, command: &str, flags: &[&str]) -> String {
        let output = self.agent(command, flags).output().unwrap();
        let told = format!("$ {command} {}\n{}", flags.join(" "), transcript(&output));
        told.replace(self.path().to_str().unwrap(), "NODE")
    }
}

/// The agent without the environment of whoever runs the tests.
fn agent(arguments: &[&str]) -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"));
    agent.env_clear().args(arguments);
    agent
}

fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().unwrap();
    format!("exit {code}\nstdout:\n{out}stderr:\n{err}")
}

#[test]
fn help() {
    let commands: [&[&str]; 4] = [
        &["--help"],
        &["install", "--help"],
        &["uninstall", "--help"],
        &["status", "--help"],
    ];
    let helps = commands.map(|arguments| {
        let output = agent(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    });
    assert_snapshot!(
        "help",
        "every flag with its default and variable, one example each, and the exit codes",
        helps.join("\n---\n\n")
    );
}

#[test]
fn a_life_on_a_node() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let life = [
        node.transcript("status", &[]),
        node.transcript("install", &["--exclude-namespaces", "kube-system,istio-*"]),
        node.transcript("install", &["--exclude-namespaces", "kube-system,istio-*"]),
        node.transcript("status", &[]),
        node.transcript("status", &["--output", "json"]),
        node.transcript(
            "install",
            &["--backend", "iptables-nft", "--output", "json"],
        ),
        node.transcript("uninstall", &["--grace", "0"]),
        node.transcript("uninstall", &["--output", "json"]),
    ];
    assert_snapshot!(
        "life",
        "exit 1 only for the first status; the second install does nothing; uninstall undoes it",
        life.join("\n")
    );
}

#[test]
fn bad_input_and_bad_nodes() {
    let node = Node::with(&[("10-broken.conflist", "{\"name\"")]);
    let empty = Node::with(&[]);
    let told = [
        node.transcript("install", &["--backend", "iptable"]),
        node.transcript("install", &["--cni-conf-name", "../x.conf"]),
        node.transcript("install", &["--conf-entry", "absent.json"]),
        node.transcript("install", &[]),
        node.transcript("install", &["--cni-conf-name", "20-absent.conflist"]),
        node.transcript("install", &["--plugin-binary", "absent"]),
        empty.transcript("install", &[]),
        empty.transcript("status", &[]),
        node.transcript("status", &[]),
    ];
    assert_snapshot!(
        "complaints",
        "2 for flags, 3 for the node, 1 for a status; nothing on stdout but the status; a hint each",
        told.join("\n")
    );
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [&[][..], &["run"], &["install", "--wait", "soon"]] {
        let output = agent(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn further_fields_and_the_environment() {
    let node = Node::with(&[("10-a.conflist", CALICO), ("20-b.conflist", CALICO)]);
    let entry = node.path().join("entry.json");
    fs::write(
        &entry,
        r#"{"defaults": {"excludeOutboundPorts": "22"}, "backend": "auto", "odd": 1}"#,
    )
    .unwrap();
    let output = node
        .agent("install", &["--backend", "netlink", "--conf-entry"])
        .arg(&entry)
        .envs([
            ("CNI_CONF_NAME", "20-b.conflist"),
            ("PLUGIN_LOG_LEVEL", "debug"),
            ("EXCLUDE_NAMESPACES", ""),
            ("POD_NAMESPACE", ""),
        ])
        .output()
        .unwrap();
    assert!(output.status.success());
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(warned.starts_with("warning: field `odd`"), "{warned}");
    let list = fs::read_to_string(node.path().join("net.d/20-b.conflist")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let expected = serde_json::json!({
        "type": "mesh-cni",
        "defaults": {"excludeOutboundPorts": "22"},
        "backend": "netlink",
        "odd": 1,
        "plugin_log_level": "debug",
        "exclude_namespaces": [],
    });
    assert_eq!(list["plugins"][1], expected);
}
