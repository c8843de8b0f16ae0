//! A node without Kubernetes: a container runtime, a chain with mesh-cni, and pods' manifests.

use std::fs;
use std::path::PathBuf;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_tests::{
    Containerd, IsolatedHost, PRODUCTPAGE, PRODUCTPAGE_NAME, PRODUCTPAGE_UID, SandboxPod, mesh_cni,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The directory of pod manifests on the node.
const PODS: &str = "/etc/mesh-cni/pods";

/// The node. Fields are dropped in this order: the runtime, the isolated host, the files.
pub(crate) struct Node {
    _containerd: Containerd,
    pub(crate) isolated_host: IsolatedHost,
    _directory: TempDir,
}

impl Node {
    /// A node whose plugin reads manifests.
    pub(crate) fn start() -> Self {
        Self::with(Some(
            &json!({"type": "mesh-cni", "pod_source": "file", "pod_dir": PODS}),
        ))
    }

    /// A node with that entry after the main plugin. Without an entry, the plugin is not installed.
    pub(crate) fn with(entry: Option<&Value>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path();
        let isolated_host = IsolatedHost::start(state);
        let containerd = Containerd::start(&isolated_host, state);
        let node = Self {
            _containerd: containerd,
            isolated_host,
            _directory: directory,
        };
        fs::create_dir_all(node.path(PODS)).unwrap();
        if entry.is_some() {
            fs::copy(mesh_cni(), node.path("/opt/cni/bin/mesh-cni")).unwrap();
        }
        node.write_list(entry);
        node
    }

    /// A path of the node, as seen from this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.isolated_host.path(path)
    }

    /// The path of a pod's manifest, for pod source `file`.
    pub(crate) fn write_manifest(&self, pod: &SandboxPod, manifest: &str) {
        let name = format!("{}_{}.yaml", pod.namespace, pod.name);
        fs::write(self.path(PODS).join(name), manifest).unwrap();
    }

    /// The live rules of the sandbox.
    pub(crate) fn live_rules(&self, sandbox: &str) -> RuleSet {
        let netns: NetNs = SandboxPod::netns(&self.isolated_host, sandbox);
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let found = read(&netns, &xtables, BackendChoice::Auto, &[Family::V4]).unwrap();
        found.rule_sets.into_iter().next().unwrap()
    }

    /// The addresses that are allocated to pods.
    pub(crate) fn leased_addresses(&self) -> Vec<String> {
        let leases = fs::read_dir(self.path("/var/lib/cni/networks/pod-network")).unwrap();
        let names = leases.map(|lease| lease.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("10.98.")).collect()
    }

    fn write_list(&self, entry: Option<&Value>) {
        let ranges = json!([[{"subnet": "10.98.0.0/16"}]]);
        let ipam = json!({
            "type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]
        });
        let bridge = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam});
        let plugins: Vec<_> = [Some(&bridge), entry].into_iter().flatten().collect();
        let list = json!({"cniVersion": "1.0.0", "name": "pod-network", "plugins": plugins});
        let lists = self.path("/etc/cni/net.d");
        fs::create_dir_all(&lists).unwrap();
        fs::write(lists.join("10-pod-network.conflist"), list.to_string()).unwrap();
    }
}

/// The documented pod's manifest with another name and UID.
pub(crate) fn manifest(pod: &SandboxPod) -> String {
    PRODUCTPAGE
        .replace(PRODUCTPAGE_NAME, &pod.name)
        .replace(PRODUCTPAGE_UID, &pod.uid)
}
