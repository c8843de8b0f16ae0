//! An API server, an agent, and ADDs called as a runtime calls them.

use std::io::Write;
use std::process::{Command, Stdio};

use mesh_cni_tests::{Agent, KubeApi, mesh_cni};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Containers of a pod that is not redirected.
pub(crate) const PLAIN: &str = "{name: app, image: none}";
/// Containers of a pod that is redirected.
pub(crate) const MESHED: &str = "{name: app, image: none}, {name: istio-proxy, image: none}";

/// The API server and the agent of a node. Fields are dropped in this order.
pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) api: KubeApi,
    pub(crate) directory: TempDir,
}

impl Node {
    pub(crate) fn start() -> Self {
        let api = KubeApi::start();
        let directory = tempfile::tempdir().unwrap();
        Self {
            agent: Agent::start(&api, directory.path()),
            api,
            directory,
        }
    }

    /// Creates the pod, waits until the agent knows it, and returns its UID.
    pub(crate) fn pod(&mut self, name: &str, containers: &str) -> String {
        self.api.apply(&pod(name, containers));
        let found = self.api.get(&format!("pod {name}"));
        let uid = found["metadata"]["uid"].as_str().unwrap().to_owned();
        let page = format!("/pods/default/{name}");
        self.agent.wait_for("does not know the pod", |agent| {
            agent.get(&page)?.contains(&uid).then_some(())
        });
        uid
    }

    /// The result of an ADD of the pod with pod source `agent`.
    pub(crate) fn add(&self, name: &str, uid: &str) -> Value {
        self.add_with(&json!({"pod_source": "agent"}), name, uid)
    }

    /// The result of an ADD of the pod, with a namespace file that can be opened but not entered.
    pub(crate) fn add_with(&self, fields: &Value, name: &str, uid: &str) -> Value {
        let mut conf = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "type": "mesh-cni",
            "cni_agent_run_dir": self.agent.client().run_dir,
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
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Whether an ADD succeeded.
pub(crate) fn passed(answer: &Value) -> bool {
    answer.get("code").is_none() && answer["cniVersion"] == "1.0.0"
}

/// A pod of the agent's node.
fn pod(name: &str, containers: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, annotations: \
         {{sidecar.istio.io/status: '{{}}'}}}}, spec: {{nodeName: node-1, containers: [{containers}]}}}}"
    )
}
