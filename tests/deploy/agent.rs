//! The agent, started with the arguments of the `DaemonSet`: flags, mounts and entry agree.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mesh_cni_tests::{Process, ask_agent, finish, mesh_cni_agent};
use serde_json::Value;
use tempfile::TempDir;

use crate::chart::object;

/// How long a test waits for the agent.
const MOST: Duration = Duration::from_secs(60);

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// The node directories that a rendered container mounts, in a directory of the test.
pub(crate) struct Mounted {
    root: TempDir,
    pod: Value,
    entry: String,
}

impl Mounted {
    pub(crate) fn render(options: &[&str]) -> Self {
        let daemon_set = object(options, "DaemonSet");
        let entry = object(options, "ConfigMap")["data"]["entry.json"].clone();
        let mounted = Self {
            root: tempfile::tempdir().unwrap(),
            pod: daemon_set["spec"]["template"]["spec"].clone(),
            entry: entry.as_str().unwrap().to_owned(),
        };
        for list in ["initContainers", "containers"] {
            for mount in mounted.pod[list][0]["volumeMounts"]
                .as_array()
                .into_iter()
                .flatten()
            {
                fs::create_dir_all(mounted.at(mount["mountPath"].as_str().unwrap())).unwrap();
            }
        }
        mounted
    }

    /// The path on this machine for a path of the container.
    fn at(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The container's command with paths and ports of the test.
    fn command(&self, list: &str) -> Command {
        let mut command = Command::new(mesh_cni_agent());
        let arguments = self.pod[list][0]["args"].as_array().unwrap();
        for argument in arguments.iter().map(|argument| argument.as_str().unwrap()) {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            match value {
                "" => command.arg(name),
                path if path.starts_with('/') => {
                    command.arg(format!("{name}={}", self.at(path).display()))
                }
                address if name.ends_with("-addr") && address != "off" => {
                    command.arg(format!("{name}=127.0.0.1:0"))
                }
                _ => command.arg(argument),
            };
        }
        let variables = self.pod[list][0]["env"].as_array();
        for variable in variables.into_iter().flatten() {
            let name = variable["name"].as_str().unwrap();
            match variable["value"].as_str() {
                Some(path) if path.starts_with('/') => command.env(name, self.at(path)),
                Some(value) => command.env(name, value),
                // The kubelet sets it.
                None => command.env(name, "node"),
            };
        }
        command.current_dir(self.root.path());
        command
    }

    /// Starts the agent without an API server and waits for a condition of its log.
    fn run(&self, done: impl FnMut(&str) -> bool) -> Process {
        self.run_with(Path::new("/nonexistent"), done)
    }

    /// Starts the agent and waits for a condition of its log.
    pub(crate) fn run_with(
        &self,
        kubeconfig: &Path,
        mut done: impl FnMut(&str) -> bool,
    ) -> Process {
        let run_dir = self.at("/run/mesh-cni");
        let entry = self
            .entry
            .replace("/run/mesh-cni", run_dir.to_str().unwrap());
        if self.at("/etc/mesh-cni").is_dir() {
            fs::write(self.at("/etc/mesh-cni/entry.json"), entry).unwrap();
        }
        let log = self.root.path().join("log");
        let mut command = self.command("containers");
        command.arg("--api-kubeconfig").arg(kubeconfig);
        let mut agent = Process::start(&command, &log);
        agent.wait_for("has not done its work", MOST, || {
            done(&fs::read_to_string(&log).unwrap()).then_some(())
        });
        agent
    }

    /// The running agent's answer for the path.
    pub(crate) fn ask(&self, path: &str) -> String {
        ask_agent(&self.at("/run/mesh-cni/agent.sock"), path).unwrap()
    }

    /// Waits until the agent has installed the plugin, and stops it.
    fn install(&self) {
        fs::write(self.at("/host/cni-conf/10-calico.conflist"), CALICO).unwrap();
        let agent = self.run(|_log| self.entries() == 1);
        agent.end();
    }

    /// The number of files that name the plugin.
    fn entries(&self) -> usize {
        let texts = texts_below(&self.at("/host/cni-conf"));
        let named = texts.iter().filter(|text| text.contains(r#""mesh-cni""#));
        named.count()
    }
}

#[test]
fn the_agent_accepts_the_arguments_of_the_daemon_set() {
    let all: &[&[&str]] = &[
        &[],
        &[
            r#"profile="istio""#,
            r#"selection="asm-literal""#,
            r#"ruleset="istio""#,
            r#"backend="nft-native""#,
            r#"podSource="agent""#,
            r#"includeNamespaces=["shop","team-*"]"#,
            r#"excludeNamespaceSelector="mesh=off,team in (a, b)""#,
            r#"defaults={"excludeOutboundPorts":"3306"}"#,
            r#"logging={"level":"debug","asJson":true}"#,
        ],
        &[
            "istioOwnedCNIConfig=true",
            r#"istioOwnedCNIConfigFileName="01-mesh.conflist""#,
        ],
        &[r#"platform="openshift""#, "replaceIstioCni=true"],
        &[
            r#"provider="multus""#,
            r#"profile=["istio","linkerd","kuma"]"#,
            r#"networkName="kuma-cni""#,
            r#"replace=["linkerd-cni","kuma-cni"]"#,
        ],
        &[r#"provider="multus""#, "istioNetworkAttachment=true"],
        &[r#"provider="multus""#, "chained=true"],
        &["repair.enabled=false"],
        &[
            r#"profile=["istio","ambient"]"#,
            r#"ambient.enablementSelectors=[{"podSelector":{"matchLabels":{"mesh":"on"}}}]"#,
            r#"ambient.earlierConnections="keep""#,
        ],
        &[
            "repair.repairPods=false",
            "repair.deletePods=true",
            "repair.labelPods=true",
            r#"taint="mesh-cni/not-ready""#,
        ],
        &[
            r#"mode="drop-in""#,
            r#"metricsAddress="off""#,
            "hostNetwork=false",
        ],
    ];
    for options in all {
        let node = Mounted::render(options);
        node.install();
        assert!(node.at("/host/cni-bin/mesh-cni").is_file(), "{options:?}");
    }
}

#[test]
fn the_entry_has_the_values_of_the_chart() {
    let node = Mounted::render(&[
        r#"profile="istio""#,
        r#"excludeNamespaceSelector="mesh=off""#,
        r#"defaults={"excludeOutboundPorts":"3306"}"#,
    ]);
    node.install();
    let list = fs::read_to_string(node.at("/host/cni-conf/10-calico.conflist")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut entry = list["plugins"][1].clone();
    entry["cni_agent_run_dir"] = "/run/mesh-cni".into();
    insta::assert_snapshot!(entry, @r#"{"type":"mesh-cni","backend":"auto","cni_agent_run_dir":"/run/mesh-cni","defaults":{"excludeOutboundPorts":"3306"},"exclude_namespace_selector":"mesh=off","exclude_namespaces":["kube-system"],"plugin_log_level":"info","pod_namespace":"kube-system","pod_source":"auto","profile":"istio"}"#);
}

#[test]
fn uninstall_restores_the_node_and_becomes_ready() {
    let node = Mounted::render(&[]);
    node.install();
    let leaving = Mounted {
        root: node.root,
        ..Mounted::render(&["uninstall.enabled=true"])
    };
    fs::create_dir_all(leaving.at("/host/cni-cache")).unwrap();
    fs::create_dir_all(leaving.at("/run/done")).unwrap();
    let left = finish(&mut leaving.command("initContainers"), "");
    assert_eq!(left.code, 0, "{}", left.stderr);
    let list = fs::read_to_string(leaving.at("/host/cni-conf/10-calico.conflist")).unwrap();
    assert_eq!(
        list.parse::<Value>().unwrap(),
        CALICO.parse::<Value>().unwrap()
    );
    assert!(!leaving.at("/host/cni-bin/mesh-cni").exists());
    leaving.run(|log| log.contains("agent started")).end();
    assert!(!leaving.at("/run/mesh-cni/agent.sock").exists());
}

fn texts_below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(texts_below(&path));
        } else {
            // A temporary file may have been renamed meanwhile.
            texts.extend(fs::read_to_string(path));
        }
    }
    texts
}
