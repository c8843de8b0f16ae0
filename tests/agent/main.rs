//! The plugin, the agent and a real API server together: an ADD asks the agent, the agent watches
//! under its own service account, and what one of them does not know, nobody guesses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mesh_cni_tests::{KubeApi, Process, mesh_cni, mesh_cni_agent};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a busy machine before a test fails.
const MOST: Duration = Duration::from_secs(60);

/// The rights that the agent needs with pod source `agent`, and no others.
const AGENT: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: agent}
rules:
- {apiGroups: [''], resources: [pods], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: agent}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: agent}
subjects:
- {kind: ServiceAccount, name: agent, namespace: default}
";

/// A pod of this node; with a sidecar, an ADD of it would program a namespace.
fn pod(name: &str, containers: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, annotations: \
         {{sidecar.istio.io/status: '{{}}'}}}}, spec: {{nodeName: node-1, containers: [{containers}]}}}}"
    )
}

const PLAIN: &str = "{name: app, image: none}";
const MESHED: &str = "{name: app, image: none}, {name: istio-proxy, image: none}";

/// An API server, and an agent beside it.
struct Node {
    api: KubeApi,
    agent: Process,
    directory: TempDir,
}

impl Node {
    fn start() -> Self {
        let api = KubeApi::start();
        api.apply(AGENT);
        let directory = tempfile::tempdir().unwrap();
        let mut agent = agent(&directory.path().join("run"), &api);
        let socket = directory.path().join("run/agent.sock");
        agent.wait_for("does not know its pods", MOST, || {
            ask(&socket, "/readyz/watch")?
                .starts_with("HTTP/1.1 200")
                .then_some(())
        });
        Self {
            api,
            agent,
            directory,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("run/agent.sock")
    }

    /// Makes the pod, waits until the agent knows it, and gives back its UID.
    fn pod(&mut self, name: &str, containers: &str) -> String {
        self.api.apply(&pod(name, containers));
        let found = self.api.get(&format!("pod {name}"));
        let uid = found["metadata"]["uid"].as_str().unwrap().to_owned();
        let (socket, page) = (self.socket(), format!("/pods/default/{name}"));
        self.agent.wait_for("does not know the pod", MOST, || {
            ask(&socket, &page)?.contains(&uid).then_some(())
        });
        uid
    }

    /// The answer to an ADD of that pod, in a namespace that can be opened and never entered.
    fn add(&self, fields: &Value, name: &str, uid: &str) -> Value {
        let mut conf = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "type": "mesh-cni",
            "cni_agent_run_dir": self.directory.path().join("run"),
            "prevResult": {"cniVersion": "1.0.0", "interfaces": [], "ips": [], "dns": {}},
        });
        for (field, value) in fields.as_object().unwrap() {
            conf[field] = value.clone();
        }
        let args = format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID={uid}");
        let mut child = Command::new(mesh_cni())
            .env_clear()
            .env("CNI_COMMAND", "ADD")
            .env("CNI_CONTAINERID", "0123456789abcdef")
            .env("CNI_NETNS", "/proc/self/ns/uts")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", "/opt/cni/bin")
            .env("CNI_ARGS", args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = conf.to_string();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn agent(run_dir: &Path, api: &KubeApi) -> Process {
    let mut command = Command::new(mesh_cni_agent());
    command
        .args(["run", "--node-name", "node-1", "--install", "false"])
        .args(["--health-addr", "off", "--metrics-addr", "off"])
        .arg("--run-dir")
        .arg(run_dir)
        .arg("--api-kubeconfig")
        .arg(api.kubeconfig_of("default", "agent"));
    Process::start(&command, &run_dir.with_extension("log"))
}

/// The agent's whole answer; `None` where it does not listen yet.
fn ask(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn passed(answer: &Value) -> bool {
    answer.get("code").is_none() && answer["cniVersion"] == "1.0.0"
}

#[test]
fn an_add_asks_the_agent_and_the_agent_asks_nobody() {
    let mut node = Node::start();
    let from_agent = json!({"pod_source": "agent"});
    let plain = node.pod("plain", PLAIN);
    let meshed = node.pod("meshed", MESHED);
    for _ in 0..50 {
        assert!(passed(&node.add(&from_agent, "plain", &plain)));
    }
    let reached = node.add(&from_agent, "meshed", &meshed);
    assert_eq!(
        reached["code"], 103,
        "it gets as far as the namespace: {reached}"
    );
    let metrics = ask(&node.socket(), "/metrics").unwrap();
    assert!(!metrics.contains("verb=\"get\""), "{metrics}");
    let adds = r#"mesh_cni_adds_total{decision="skip",reason="no-istio-proxy"} 50"#;
    assert!(metrics.contains(adds), "{metrics}");
}

#[test]
fn a_pod_made_again_never_gets_what_its_predecessor_had() {
    let mut node = Node::start();
    let from_agent = json!({"pod_source": "agent"});
    let first = node.pod("cart", MESHED);
    node.api.must("delete pod cart --grace-period=0 --force");
    let second = node.pod("cart", PLAIN);
    assert!(passed(&node.add(&from_agent, "cart", &second)));
    let late = node.add(&from_agent, "cart", &first);
    assert_eq!(late["code"], 11, "{late}");
}

#[test]
fn with_the_api_server_away_known_pods_start_and_others_wait() {
    let mut node = Node::start();
    let from_agent = json!({"pod_source": "agent"});
    let uid = node.pod("plain", PLAIN);
    node.api.stop_server();
    assert!(passed(&node.add(&from_agent, "plain", &uid)));
    let unknown = node.add(&from_agent, "other", "u-1");
    assert_eq!(unknown["code"], 11, "{unknown}");
    node.api.start_server();
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add(&from_agent, "later", &later)));
}

#[test]
fn the_plugin_itself_asks_the_api_server() {
    let mut node = Node::start();
    let kubeconfig = node.api.kubeconfig_of("default", "agent");
    let from_api = json!({"pod_source": "api", "kubeconfig": kubeconfig});
    let plain = node.pod("plain", PLAIN);
    let meshed = node.pod("meshed", MESHED);
    let answer = node.add(&from_api, "plain", &plain);
    assert!(passed(&answer), "{answer}");
    assert_eq!(node.add(&from_api, "meshed", &meshed)["code"], 103);
    assert_eq!(node.add(&from_api, "plain", "another")["code"], 11);
    assert_eq!(node.add(&from_api, "none", "u-1")["code"], 11);

    // Without an agent, `auto` asks the API server where a kubeconfig says how.
    let nowhere = node.directory.path().join("nowhere");
    let mut auto = json!({"pod_source": "auto", "cni_agent_run_dir": nowhere});
    let away = node.add(&auto, "plain", &plain);
    assert_eq!(away["code"], 11, "{away}");
    auto["kubeconfig"] = json!(kubeconfig);
    let answer = node.add(&auto, "plain", &plain);
    assert!(passed(&answer), "{answer}");

    let stranger = node.directory.path().join("stranger.kubeconfig");
    std::fs::write(&stranger, node.api.kubeconfig_with("no-token")).unwrap();
    let refused = json!({"pod_source": "api", "kubeconfig": stranger});
    let refused = node.add(&refused, "plain", &plain);
    assert_eq!(refused["code"], 11);
    assert!(
        refused["msg"].as_str().unwrap().contains("answers 401"),
        "{refused}"
    );
}
