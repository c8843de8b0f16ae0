//! A node without Kubernetes: a container runtime, a chain with mesh-cni, and pods' manifests.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Containerd, Crio, IsolatedHost, SandboxPod, copy_program, mesh_cni};

/// The directory of pod manifests on the node.
const PODS: &str = "/etc/mesh-cni/pods";

/// A container runtime.
pub trait ContainerRuntime {
    /// Starts it in the isolated host with its log in `state`, and waits until it is ready.
    fn start(isolated_host: &IsolatedHost, state: &Path) -> Self;
}

/// The node. Fields are dropped in this order: the runtime, the isolated host, the files.
#[derive(Debug)]
pub struct RuntimeNode<R> {
    /// The container runtime.
    pub runtime: R,
    /// Its isolated host.
    pub isolated_host: IsolatedHost,
    directory: TempDir,
}

impl<R: ContainerRuntime> RuntimeNode<R> {
    /// A node whose plugin reads manifests.
    pub fn start() -> Self {
        Self::with(Some(
            &json!({"type": "mesh-cni", "pod_source": "file", "pod_dir": PODS}),
        ))
    }

    /// A node with that entry after the main plugin. Without an entry, the plugin is not installed.
    pub fn with(entry: Option<&Value>) -> Self {
        let directory = tempfile::tempdir().expect("a file of the node can be read and written");
        let state = directory.path();
        let isolated_host = IsolatedHost::start(state);
        let runtime = R::start(&isolated_host, state);
        let node = Self {
            runtime,
            isolated_host,
            directory,
        };
        fs::create_dir_all(node.path(PODS)).expect("a file of the node can be read and written");
        if entry.is_some() {
            copy_program(&mesh_cni(), &node.path("/opt/cni/bin/mesh-cni"));
        }
        node.write_list(entry);
        node
    }

    /// The directory of the runtime's log.
    pub fn state(&self) -> &Path {
        self.directory.path()
    }

    /// A path of the node, as seen from this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.isolated_host.path(path)
    }

    /// The path of a pod's manifest, for pod source `file`.
    pub fn write_manifest(&self, pod: &SandboxPod, manifest: &str) {
        let name = format!("{}_{}.yaml", pod.namespace, pod.name);
        fs::write(self.path(PODS).join(name), manifest)
            .expect("a file of the node can be read and written");
    }

    /// The live rules of the sandbox.
    pub fn live_rules(&self, sandbox: &str) -> RuleSet {
        let netns: NetNs = SandboxPod::netns(&self.isolated_host, sandbox);
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let found = read(&netns, &xtables, BackendChoice::Auto, &[Family::V4])
            .expect("a file of the node can be read and written");
        found
            .rule_sets
            .into_iter()
            .next()
            .expect("a file of the node can be read and written")
    }

    /// The addresses that are allocated to pods.
    pub fn leased_addresses(&self) -> Vec<String> {
        let leases = fs::read_dir(self.path("/var/lib/cni/networks/pod-network"))
            .expect("a file of the node can be read and written");
        let names = leases.map(|lease| {
            lease
                .expect("a file of the node can be read and written")
                .file_name()
                .into_string()
                .expect("a file of the node can be read and written")
        });
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
        fs::create_dir_all(&lists).expect("a file of the node can be read and written");
        fs::write(lists.join("10-pod-network.conflist"), list.to_string())
            .expect("a file of the node can be read and written");
    }
}

impl ContainerRuntime for Containerd {
    fn start(isolated_host: &IsolatedHost, state: &Path) -> Self {
        Self::start(isolated_host, state)
    }
}

impl ContainerRuntime for Crio {
    fn start(isolated_host: &IsolatedHost, state: &Path) -> Self {
        Self::start(isolated_host, state)
    }
}
