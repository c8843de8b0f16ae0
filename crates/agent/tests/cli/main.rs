//! The program: help, exit codes, and what it prints to stdout and stderr.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// Compares with `tests/snapshots/NAME.snap`. The description says what a reviewer checks.
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

/// The directories of a node.
struct Node(TempDir);

impl Node {
    fn with(files: &[(&str, &str)]) -> Self {
        let node = Self(TempDir::new().unwrap());
        for directory in ["bin", "net.d", "cache"] {
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
            .arg(self.path().join("net.d"))
            .arg("--run-dir")
            .arg(self.path().join("run"));
        if command == "uninstall" {
            agent.arg("--cni-cache-dir").arg(self.path().join("cache"));
        }
        if command != "uninstall" && !flags.contains(&"--plugin-binary") {
            agent
                .arg("--plugin-binary")
                .arg(self.path().join("mesh-cni"));
        }
        agent.args(flags);
        agent
    }

    /// Exit code, stdout and stderr as one text. NODE replaces the path of the node's directory.
    fn transcript(&self, command: &str, flags: &[&str]) -> String {
        let output = self.agent(command, flags).output().unwrap();
        let text = format!("$ {command} {}\n{}", flags.join(" "), transcript(&output));
        text.replace(self.path().to_str().unwrap(), "NODE")
    }
}

/// The agent with an empty environment.
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
    let commands: [&[&str]; 6] = [
        &["--help"],
        &["install", "--help"],
        &["run", "--help"],
        &["uninstall", "--help"],
        &["status", "--help"],
        &["pods", "--help"],
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
fn install_status_and_uninstall() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let transcripts = [
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
        "exit 1 only for the first status; the second install changes nothing; uninstall removes everything",
        transcripts.join("\n")
    );
}

/// Without an agent no ADD works, if the plugin's pod source is the agent.
#[test]
fn a_plugin_that_needs_the_agent_does_not_work_without_it() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    for (pod_source, code) in [("agent", 1), ("auto", 0), ("runtime", 0)] {
        node.transcript("install", &["--pod-source", pod_source]);
        let text = node.transcript("status", &[]);
        assert!(
            text.contains(&format!("exit {code}\n")),
            "{pod_source}: {text}"
        );
        let why = "updating: no agent has run here, and the plugin needs its answers: \
                   NODE/run/agent.sock does not exist\n";
        assert_eq!(text.contains(why), code == 1, "{pod_source}: {text}");
        let json = node.transcript("status", &["--output", "json"]);
        assert_eq!(json.contains(r#""state":"updating""#), code == 1, "{json}");
    }
}

#[test]
fn bad_input_and_failing_nodes() {
    let node = Node::with(&[("10-broken.conflist", "{\"name\"")]);
    let empty = Node::with(&[]);
    let transcripts = [
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
        "exit 2 for flags, 3 for the node, 1 for a status; only a status on stdout; each error has a hint",
        transcripts.join("\n")
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
fn fields_from_a_file_and_the_environment() {
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
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.starts_with("warning: mesh-cni does not know field `odd`"),
        "{warning}"
    );
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

/// The root directory of a node of a distribution.
fn host_with(directories: &[&str]) -> TempDir {
    let host = TempDir::new().unwrap();
    for directory in directories {
        fs::create_dir_all(host.path().join(directory)).unwrap();
    }
    fs::write(host.path().join("mesh-cni"), "the plugin").unwrap();
    host
}

fn agent_on(host: &TempDir, arguments: &[&str]) -> Output {
    let mut agent = agent(arguments);
    agent.arg("--host-root").arg(host.path());
    if arguments[0] == "install" {
        agent
            .arg("--plugin-binary")
            .arg(host.path().join("mesh-cni"));
    }
    agent.output().unwrap()
}

#[test]
fn distributions_have_their_own_directories_and_modes() {
    let conf = "var/lib/rancher/k3s/agent/etc/cni/net.d";
    for bin in [
        "var/lib/rancher/k3s/data/cni",
        "var/lib/rancher/k3s/data/current/bin",
    ] {
        let host = host_with(&[conf, bin]);
        let list = host.path().join(conf).join("10-flannel.conflist");
        fs::write(&list, CALICO).unwrap();
        let installed = agent_on(&host, &["install", "--platform", "k3s"]);
        assert!(installed.status.success(), "{}", transcript(&installed));
        assert!(host.path().join(bin).join("mesh-cni").exists());
        assert!(fs::read_to_string(&list).unwrap().contains("mesh-cni"));
    }

    let openshift = host_with(&["etc/cni/multus/net.d", "var/lib/cni/bin"]);
    let installed = agent_on(&openshift, &["install", "--platform", "openshift"]);
    assert!(installed.status.success(), "{}", transcript(&installed));
    let own = openshift
        .path()
        .join("etc/cni/multus/net.d/YYY-mesh-cni.conflist");
    assert!(own.exists());

    let unknown = agent_on(&openshift, &["install", "--platform", "mars"]);
    assert_eq!(unknown.status.code(), Some(2));
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(error.contains("k3s") && error.contains("hint:"), "{error}");
}

#[test]
fn modes_have_the_names_of_istio_cni_too() {
    let list = "net.d/10-calico.conflist";
    for (flags, variable, created) in [
        (
            &["--mode", "owned-first"][..],
            None,
            "net.d/02-mesh-cni.conflist",
        ),
        (
            &[],
            Some(("ISTIO_OWNED_CNI_CONFIG", "true")),
            "net.d/02-mesh-cni.conflist",
        ),
        (&["--mode", "drop-in"], None, "net.d/k8s/99-mesh-cni.conf"),
        (
            &[],
            Some(("CHAINED_CNI_PLUGIN", "false")),
            "net.d/YYY-mesh-cni.conflist",
        ),
        (
            &[
                "--owned-cni-config",
                "true",
                "--owned-cni-config-filename",
                "00-ours.conf",
            ],
            None,
            "net.d/00-ours.conflist",
        ),
    ] {
        let node = Node::with(&[("10-calico.conflist", CALICO)]);
        let mut install = node.agent("install", flags);
        let installed = install.envs(variable).output().unwrap();
        assert!(installed.status.success(), "{}", transcript(&installed));
        assert!(node.path().join(created).exists(), "{flags:?} {variable:?}");
        assert_eq!(fs::read_to_string(node.path().join(list)).unwrap(), CALICO);
        let status = node.agent("status", &[]).output().unwrap();
        assert!(status.status.success(), "{}", transcript(&status));

        let mut uninstall = node.agent("uninstall", &["--grace", "0"]);
        assert!(uninstall.output().unwrap().status.success());
        assert!(!node.path().join(created).exists());
        assert!(!node.path().join("net.d/k8s").exists());
        assert!(!node.path().join("bin/mesh-cni").exists());
    }
}

#[test]
fn a_kubeconfig_is_written_only_for_pod_source_api() {
    let writes_kubeconfig = |flags: &[&str]| {
        let node = Node::with(&[("10-calico.conflist", CALICO)]);
        let account = node.path().join("account");
        fs::create_dir(&account).unwrap();
        fs::write(account.join("ca.crt"), "ca").unwrap();
        fs::write(account.join("token"), "hush").unwrap();
        let mut install = node.agent("install", flags);
        install
            .arg("--service-account-dir")
            .arg(&account)
            .env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        let installed = install.output().unwrap();
        let transcript = transcript(&installed);
        assert!(
            installed.status.success() && !transcript.contains("hush"),
            "{transcript}"
        );
        let list = fs::read_to_string(node.path().join("net.d/10-calico.conflist")).unwrap();
        let kubeconfig = node.path().join("run/kubeconfig").exists();
        assert_eq!(
            list.contains("\"kubeconfig\": \"/run/mesh-cni/kubeconfig\""),
            kubeconfig
        );
        kubeconfig
    };
    assert!(writes_kubeconfig(&["--pod-source", "api"]));
    assert!(writes_kubeconfig(&["--write-kubeconfig"]));
    assert!(!writes_kubeconfig(&[]));
    assert!(!writes_kubeconfig(&["--pod-source", "agent"]));
    assert!(!writes_kubeconfig(&[
        "--pod-source",
        "agent",
        "--write-kubeconfig"
    ]));
    assert!(!writes_kubeconfig(&["--pod-source", "runtime"]));
    assert!(!writes_kubeconfig(&[
        "--pod-source",
        "api",
        "--kubeconfig",
        "/etc/own"
    ]));

    let outside = Node::with(&[("10-calico.conflist", CALICO)]);
    let refused = outside
        .agent("install", &["--pod-source", "api"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
