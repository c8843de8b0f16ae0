//! A pod at the API server and its sandbox on this machine: a process in its own network namespace
//! and control group.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, drift};
use mesh_cni_netns::{BackendChoice, Change, NetNs, Xtables, apply, read};
use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_selector::PodFacts;
use mesh_cni_tests::{KubeApi, must};
use serde_json::{Value, json};

use crate::cluster::NODE;
use crate::control_group::ControlGroup;

/// The pod's addresses.
pub(crate) const ADDRESSES: [&str; 2] = ["10.99.7.2", "fd00:99:7::2"];

/// A pod with a running sandbox and no rules.
pub(crate) struct BrokenPod {
    pub(crate) uid: String,
    pub(crate) netns: NetNs,
    manifest: Value,
    process: Child,
    _group: ControlGroup,
}

/// The manifest of a pod with a sidecar.
pub(crate) fn meshed(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {"sidecar.istio.io/status": "{}"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "controller": true,
                "uid": "7b0d3f4e-1111-4222-8333-944455566677",
            }],
        },
        "spec": {
            "nodeName": NODE,
            "containers": [
                {"name": "app", "image": "none"},
                {
                    "name": "istio-proxy",
                    "image": "none",
                    "env": [{"name": "ISTIO_DUAL_STACK", "value": "true"}],
                },
            ],
        },
    })
}

/// Creates the pod at the API server and returns its UID.
pub(crate) fn create(api: &KubeApi, manifest: &Value) -> String {
    api.apply(&manifest.to_string());
    uid_of(api, name_of(manifest)).unwrap()
}

/// The UID of the pod of that name.
pub(crate) fn uid_of(api: &KubeApi, name: &str) -> Option<String> {
    let pods = api.get("pods");
    let mut pods = pods["items"].as_array().unwrap().iter();
    let pod = pods.find(|pod| pod["metadata"]["name"] == name)?;
    Some(pod["metadata"]["uid"].as_str().unwrap().to_owned())
}

/// Writes a pod's status, as a kubelet does.
pub(crate) fn set_status(api: &KubeApi, name: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    let words = [
        "patch",
        "pod",
        name,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    let patched = api.kubectl(words, "");
    assert_eq!(patched.code, 0, "{}", patched.stderr);
}

/// The status of a running pod.
pub(crate) fn running() -> Value {
    let ips: Vec<_> = ADDRESSES.iter().map(|ip| json!({"ip": ip})).collect();
    json!({"phase": "Running", "podIP": ADDRESSES[0], "podIPs": ips})
}

/// The status of a pod whose validation has failed and restarted that many times.
pub(crate) fn failing(restarts: u32) -> Value {
    let mut status = running();
    status["phase"] = json!("Pending");
    status["initContainerStatuses"] = json!([{
        "name": "istio-validation", "image": "none", "imageID": "", "ready": false,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 126, "reason": "Error"}},
    }]);
    status
}

impl BrokenPod {
    /// Creates the pod with only a sandbox: its namespace has addresses and no rules.
    pub(crate) fn create(api: &KubeApi, name: &str) -> Self {
        Self::create_from(api, meshed(name))
    }

    pub(crate) fn create_from(api: &KubeApi, manifest: Value) -> Self {
        let uid = create(api, &manifest);
        let broken_pod = Self::of(manifest, uid);
        set_status(api, name_of(&broken_pod.manifest), &running());
        broken_pod
    }

    /// Creates a sandbox for a pod that may not exist at the API server.
    pub(crate) fn of(manifest: Value, uid: String) -> Self {
        let process = sandbox(manifest["spec"]["hostUsers"] == false);
        let path = format!("/proc/{}/ns/net", process.id());
        let netns = NetNs::open(path.as_ref()).expect("a process has a network namespace");
        must(&netns, "ip link set lo up");
        must(&netns, "ip link add eth0 type bridge");
        for (address, length) in ADDRESSES.into_iter().zip([32, 128]) {
            must(
                &netns,
                &format!("ip address add {address}/{length} dev eth0"),
            );
        }
        let group = ControlGroup::of(process.id(), &[&format!("pod{uid}"), "sandbox"]);
        Self {
            uid,
            netns,
            manifest,
            process,
            _group: group,
        }
    }

    /// The ID of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether its process is running.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// The rules that an ADD would write.
    pub(crate) fn wanted(&self) -> Vec<RuleSet> {
        let mut facts = PodFacts::from_object(&self.manifest).unwrap();
        facts.addresses = ADDRESSES.map(|address| address.parse().unwrap()).into();
        let decision = decide(&facts, &MeshConf::default()).unwrap();
        let Decision::Redirect(redirection) = decision else {
            unreachable!("the pod has a sidecar");
        };
        redirection.rule_sets
    }

    /// The live rules.
    pub(crate) fn live(&self) -> Vec<RuleSet> {
        let families = [Family::V4, Family::V6];
        let found = read(&self.netns, &xtables(), BackendChoice::Auto, &families);
        found.unwrap().rule_sets
    }

    /// The first difference between the live rules and those that an ADD would write.
    pub(crate) fn difference(&self) -> Option<String> {
        let (wanted, live) = (self.wanted(), self.live());
        assert_eq!(wanted.len(), 2, "both families are wanted");
        let mut pairs = wanted.iter().zip(&live);
        let drift = pairs.find_map(|(wanted, found)| drift(wanted, found, &OWNERSHIP));
        drift.map(|drift| drift.to_string())
    }

    /// Whether there are no rules.
    pub(crate) fn has_no_rules(&self) -> bool {
        self.live().iter().all(|rules| {
            rules
                .tables
                .iter()
                .all(|table| table.chains.iter().all(|chain| chain.rules.is_empty()))
        })
    }

    /// Applies rules, as an ADD does, and returns what changed.
    pub(crate) fn program(&self, rules: &[RuleSet]) -> Change {
        self.program_of(Mesh::Istio, rules)
    }

    /// The same for rules of another mesh.
    pub(crate) fn program_of(&self, mesh: Mesh, rules: &[RuleSet]) -> Change {
        let applied = apply(&self.netns, &xtables(), BackendChoice::Auto, mesh, rules);
        applied.unwrap().change
    }
}

impl Drop for BrokenPod {
    /// The process exits when its standard input is closed.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _status = self.process.wait();
    }
}

fn xtables() -> Xtables {
    Xtables::search(std::env::var_os("PATH").as_deref())
}

/// Starts a process in its own network namespace that exits when its standard input is closed. With
/// `has_own_users`, its own user namespace owns the network namespace.
fn sandbox(has_own_users: bool) -> Child {
    let users = has_own_users.then_some("--user");
    let mut process = Command::new("unshare")
        .args(users)
        .args(["--net", "sh", "-c", "echo ready; exec cat >/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare is installed: run `make test`");
    let stdout = process.stdout.take().expect("it is piped");
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line);
    assert_eq!((read.ok(), line.as_str()), (Some(6), "ready\n"));
    for map in ["uid_map", "gid_map"].into_iter().filter(|_| has_own_users) {
        let path = format!("/proc/{}/{map}", process.id());
        fs::write(path, "0 100000 65536").expect("this test needs root: run `make test`");
    }
    process
}

fn name_of(manifest: &Value) -> &str {
    manifest["metadata"]["name"].as_str().unwrap()
}
