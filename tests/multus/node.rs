//! A node whose runtime calls Multus, which calls the network's plugins.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_cni_netfilter::only_ours;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, Xtables, read};
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{
    Containerd, Finished, Host, IsolatedHost, KubeApi, Process, SandboxPod, copy_program, crictl,
    finish, mesh_cni, mesh_cni_agent, multus, pod_for_api,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The directory of pod manifests on the node.
const PODS: &str = "/etc/mesh-cni/pods";

/// The network's own list and Multus's file.
pub(crate) const OWN: &str = "10-pod-network.conflist";
pub(crate) const MULTUS: &str = "00-multus.conflist";

const ANNOTATION: &str = "k8s.v1.cni.cncf.io/networks";

const TIMEOUT: Duration = Duration::from_secs(120);

/// The kind of a network that a pod can request.
const DEFINITION: &str = r#"{
  "apiVersion": "apiextensions.k8s.io/v1",
  "kind": "CustomResourceDefinition",
  "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
  "spec": {
    "group": "k8s.cni.cncf.io",
    "scope": "Namespaced",
    "names": {
      "plural": "network-attachment-definitions",
      "singular": "network-attachment-definition",
      "kind": "NetworkAttachmentDefinition"
    },
    "versions": [{
      "name": "v1", "served": true, "storage": true,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"config": {"type": "string"}}}
      }}}
    }]
  }
}"#;

/// The node. Fields are dropped in this order: clients, servers, the isolated host, the files.
pub(crate) struct Node {
    _containerd: Containerd,
    pub(crate) api: KubeApi,
    pub(crate) isolated_host: Arc<IsolatedHost>,
    directory: TempDir,
}

/// A pod with its sandbox.
pub(crate) struct Pod {
    pub(crate) name: String,
    sandbox: String,
}

impl Node {
    /// A node with the network's own list, and Multus's copy of it.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let isolated_host = Arc::new(IsolatedHost::start(directory.path()));
        let api = KubeApi::start_on(Host::Isolated(Arc::clone(&isolated_host)));
        api.apply(DEFINITION);
        api.must(
            "wait crd/network-attachment-definitions.k8s.cni.cncf.io --for=condition=Established",
        );
        let node = Self {
            _containerd: Containerd::start(&isolated_host, directory.path()),
            api,
            isolated_host,
            directory,
        };
        for path in [PODS, "/etc/cni/net.d", "/etc/cni/multus/net.d"] {
            fs::create_dir_all(node.path(path)).unwrap();
        }
        copy_program(&multus(), &node.path("/opt/cni/bin/multus"));
        let bridge = json!({
            "type": "bridge", "bridge": "cni0", "isGateway": true,
            "ipam": {"type": "host-local", "subnet": "10.98.0.0/16"}
        });
        let list = json!({"cniVersion": "1.0.0", "name": "pod-network", "plugins": [bridge]});
        fs::write(node.conf(OWN), list.to_string()).unwrap();
        node.regenerate_multus();
        node
    }

    /// A path of the node, as seen from this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.isolated_host.path(path)
    }

    pub(crate) fn conf(&self, name: &str) -> PathBuf {
        self.path("/etc/cni/net.d").join(name)
    }

    pub(crate) fn has_binary(&self) -> bool {
        self.path("/opt/cni/bin/mesh-cni").exists()
    }

    /// Copies the first list that is not Multus's into Multus's file, as its entrypoint does at each start.
    pub(crate) fn regenerate_multus(&self) {
        self.regenerate_multus_unwatched();
        self.wait_until_loaded();
    }

    /// As [`Node::regenerate_multus`], without a wait for containerd.
    pub(crate) fn regenerate_multus_unwatched(&self) {
        let network = self.first_list(|name| !name.starts_with("00-multus.conf"));
        self.replace_multus(&json!({"delegates": [network]}));
    }

    /// The first list in name order, of those with such a name.
    fn first_list(&self, is_such: impl Fn(&str) -> bool) -> Value {
        let entries = fs::read_dir(self.path("/etc/cni/net.d")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let lists = names.filter(|name| name.ends_with(".conflist") && is_such(name));
        let first = fs::read_to_string(self.conf(&lists.min().unwrap())).unwrap();
        serde_json::from_str(&first).unwrap()
    }

    /// Writes Multus's file with these fields, and waits until containerd has loaded its first list.
    pub(crate) fn write_multus(&self, fields: &Value) {
        self.replace_multus(fields);
        self.wait_until_loaded();
    }

    fn replace_multus(&self, fields: &Value) {
        let mut plugin = json!({"type": "multus", "kubeconfig": self.api.kubeconfig()});
        let plugin_fields = plugin.as_object_mut().unwrap();
        plugin_fields.extend(fields.as_object().unwrap().clone());
        let list = json!({
            "cniVersion": "1.0.0", "name": "multus-cni-network", "plugins": [plugin]
        });
        let written = self.conf("multus.tmp");
        fs::write(&written, list.to_string()).unwrap();
        fs::rename(written, self.conf(MULTUS)).unwrap();
    }

    /// Waits until containerd has loaded the first list.
    pub(crate) fn wait_until_loaded(&self) {
        let wanted = self.first_list(|_| true);
        let end = Instant::now() + TIMEOUT;
        loop {
            let info = crictl(&self.isolated_host, &["info"]).stdout;
            let info: Value = serde_json::from_str(&info).unwrap_or_default();
            let networks = info["cniconfig"]["Networks"].as_array().cloned();
            let loaded = networks.into_iter().flatten().any(|network| {
                let source = network["Config"]["Source"].as_str().unwrap_or_default();
                serde_json::from_str::<Value>(source).is_ok_and(|source| source == wanted)
            });
            if loaded {
                return;
            }
            assert!(
                Instant::now() < end,
                "containerd has not loaded {wanted}: {info}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Creates a network that pods can request; without a configuration, Multus reads it from its
    /// directory.
    pub(crate) fn define(&self, namespace: &str, name: &str, config: Option<&Value>) {
        let mut network = json!({
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name, "namespace": namespace},
        });
        if let Some(config) = config {
            network["spec"] = json!({"config": config.to_string()});
        }
        self.api.apply(&network.to_string());
    }

    /// Runs the agent, which must exit with this code; returns its output.
    pub(crate) fn agent(&self, words: &str, code: i32) -> String {
        let finished = self.run_agent(words);
        assert_eq!(
            finished.code, code,
            "{words}: {}{}",
            finished.stdout, finished.stderr
        );
        finished.stdout + &finished.stderr
    }

    fn run_agent(&self, words: &str) -> Finished {
        let mut command = self.isolated_host.command(mesh_cni_agent());
        command.args(words.split_whitespace());
        if words.starts_with("install") {
            command.args(["--pod-source", "file", "--pod-dir", PODS]);
        }
        if !words.starts_with("uninstall") {
            command.arg("--plugin-binary").arg(mesh_cni());
        }
        finish(&mut command, "")
    }

    /// Starts the agent, which keeps the plugin installed.
    pub(crate) fn start_agent(&self) -> Process {
        let mut command = self.isolated_host.command(mesh_cni_agent());
        command
            .args(["run", "--node-name", "node", "--pod-source", "file"])
            .args([
                "--pod-dir",
                PODS,
                "--health-addr",
                "off",
                "--metrics-addr",
                "off",
            ])
            .arg("--plugin-binary")
            .arg(mesh_cni());
        Process::start(&command, &self.directory.path().join("agent.log"))
    }

    /// Waits until Multus's file has our entry after Multus.
    pub(crate) fn wait_for_entry(&self) {
        let end = Instant::now() + TIMEOUT;
        loop {
            let text = fs::read_to_string(self.conf(MULTUS)).unwrap();
            let list: Value = serde_json::from_str(&text).unwrap();
            if list["plugins"][1]["type"] == "mesh-cni" {
                return;
            }
            assert!(Instant::now() < end, "no entry in {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Creates a pod with a sidecar in the API, and starts its sandbox.
    pub(crate) fn try_start(&self, pod: &Value) -> Result<Pod, String> {
        let metadata = &pod["metadata"];
        let name = metadata["name"].as_str().unwrap();
        let namespace = metadata["namespace"].as_str().unwrap_or("default");
        self.api.apply(&pod.to_string());
        let pod = self.api.get(&format!("pod/{name} --namespace={namespace}"));
        let manifest = self.path(PODS).join(format!("{namespace}_{name}.json"));
        fs::write(manifest, pod.to_string()).unwrap();
        let mut sandbox = SandboxPod::new(name, pod["metadata"]["uid"].as_str().unwrap());
        namespace.clone_into(&mut sandbox.namespace);
        Ok(Pod {
            name: name.to_owned(),
            sandbox: sandbox.start(&self.isolated_host)?,
        })
    }

    /// Starts the documented pod with another name and these networks.
    pub(crate) fn start_pod(&self, name: &str, networks: &str) -> Pod {
        let started = self.try_start(&pod(name, networks));
        started.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The number of IPv4 and IPv6 rules of ours in the pod.
    pub(crate) fn rules(&self, pod: &Pod) -> [usize; 2] {
        let netns = SandboxPod::netns(&self.isolated_host, &pod.sandbox);
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let found = read(&netns, &xtables, BackendChoice::Auto, &Family::ALL).unwrap();
        Family::ALL.map(|family| {
            let mut found = found.rule_sets.iter();
            let rules = found.find(|rules| rules.family == family);
            rules.map_or(0, |rules| only_ours(rules, &OWNERSHIP).rule_count())
        })
    }

    /// The interfaces that Multus has reported in the pod's status.
    pub(crate) fn reported_interfaces(&self, pod: &Pod) -> Vec<String> {
        let pod = self.api.get(&format!("pod/{}", pod.name));
        let status = &pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"];
        let status: Value = serde_json::from_str(status.as_str().unwrap()).unwrap();
        let networks = status.as_array().unwrap().iter();
        let names = networks.map(|network| network["interface"].as_str().unwrap_or("-").to_owned());
        names.collect()
    }

    /// Stops and removes the sandbox, for which the runtime calls DEL.
    pub(crate) fn end(&self, pod: &Pod) {
        SandboxPod::end(&self.isolated_host, &pod.sandbox);
    }

    /// The addresses of a network that are allocated to pods.
    pub(crate) fn leases(&self, network: &str) -> Vec<String> {
        let directory = self.path("/var/lib/cni/networks").join(network);
        let entries = fs::read_dir(directory).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("10.")).collect()
    }
}

/// The documented pod with another name and these networks.
pub(crate) fn pod(name: &str, networks: &str) -> Value {
    let mut pod = pod_for_api(name, true);
    if !networks.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] = networks.into();
    }
    pod
}
