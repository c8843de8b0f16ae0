//! The files of a node that `verify` reads: network configuration, manifests, the agent's socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

pub(crate) const POD: &str = "shop/cart";
pub(crate) const UID: &str = "6c1a9d52-7a55-4f0e-9b0a-2f1f4d3c8e11";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The families of a pod's proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Families {
    First,
    Both,
}

/// A directory that is removed with the test.
pub(crate) struct Node(PathBuf);

impl Node {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mesh-cni-verify-{}-{number}", std::process::id());
        let node = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(node.0.join("pods")).unwrap();
        fs::create_dir_all(node.0.join("net.d")).unwrap();
        node.write_list(&json!({"pod_source": "file", "pod_dir": node.0.join("pods")}));
        node.write_manifest(Families::Both, None);
        node
    }

    pub(crate) fn root(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn conf_dir(&self) -> String {
        self.0.join("net.d").display().to_string()
    }

    pub(crate) fn manifest(&self) -> String {
        self.0.join("pods/shop_cart.json").display().to_string()
    }

    /// Excludes that namespace.
    pub(crate) fn exclude(&self, namespace: &str) {
        let directory = self.0.join("pods");
        self.write_list(&json!({
            "pod_source": "file", "pod_dir": directory, "exclude_namespaces": [namespace],
        }));
    }

    /// Writes the pod's manifest, with an `istio-init` that has these arguments.
    pub(crate) fn write_manifest(&self, families: Families, own_init: Option<&[&str]>) {
        self.write(&self.manifest(), &manifest(families, own_init));
    }

    /// Writes the facts of the pod as an agent sends them; returns the path.
    pub(crate) fn facts(&self) -> String {
        let path = self.0.join("facts").display().to_string();
        self.write(
            &path,
            &json!({
                "namespace": "shop", "name": "cart", "uid": UID,
                "annotations": {"sidecar.istio.io/status": "{}"},
                "containers": [{"name": "app"}, {
                    "name": "istio-proxy", "env": {"ISTIO_DUAL_STACK": "true"},
                }],
            }),
        );
        path
    }

    /// Starts an agent that answers one request; its thread returns the request line.
    pub(crate) fn agent(&self, facts: &str) -> JoinHandle<String> {
        let socket = self.0.join("agent.sock");
        self.write_list(&json!({"cni_agent_run_dir": self.0}));
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{facts}");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
            fs::remove_file(socket).unwrap();
            first
        })
    }

    fn write_list(&self, ours: &Value) {
        let mut entry = json!({"type": "mesh-cni"});
        let fields = entry.as_object_mut().unwrap();
        fields.extend(ours.as_object().unwrap().clone());
        let list = json!({
            "cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}, entry],
        });
        let path = Path::new(&self.conf_dir()).join("10-net.conflist");
        self.write(&path.display().to_string(), &list);
    }

    fn write(&self, path: &str, document: &Value) {
        assert!(Path::new(path).starts_with(&self.0));
        fs::write(path, document.to_string()).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

fn manifest(families: Families, own_init: Option<&[&str]>) -> Value {
    let init = own_init.map(|args| json!({"name": "istio-init", "args": args}));
    let dual_stack = (families == Families::Both).to_string();
    json!({
        "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": "cart", "uid": UID,
            "annotations": {"sidecar.istio.io/status": "{}"},
        },
        "spec": {
            "initContainers": init.into_iter().collect::<Vec<_>>(),
            "containers": [{"name": "app"}, {
                "name": "istio-proxy",
                "env": [{"name": "ISTIO_DUAL_STACK", "value": dual_stack}],
            }],
        },
    })
}
