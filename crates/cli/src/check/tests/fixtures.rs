//! Hand-made clusters.

use std::collections::BTreeMap;

use mesh_cni_kube::object::Object as _;
use mesh_cni_kube::pod::{CompletePod, PodName};
use mesh_cni_plan::MeshConf;
use serde_json::{Value, json};

use crate::check::node::Node;
use crate::check::objects::{ConfigMap, DaemonSet};
use crate::check::observed::{
    AgentAnswer, Installation, Observed, ObservedAfter, ObservedBefore, Right,
};
use crate::check::pods::PodDecisions;
use crate::cluster::agents::AgentPod;

/// What distinguishes the nodes of a distribution.
pub(super) struct Kind {
    os_image: &'static str,
    kernel: &'static str,
    runtime: &'static str,
    kubelet: &'static str,
    label: &'static str,
}

pub(super) const DEBIAN: Kind = Kind {
    os_image: "Debian GNU/Linux 12 (bookworm)",
    kernel: "6.1.0-28-amd64",
    runtime: "containerd://1.6.20",
    kubelet: "v1.34.4",
    label: "kubernetes.io/os",
};

pub(super) const GKE: Kind = Kind {
    os_image: "Container-Optimized OS from Google",
    kernel: "6.6.97+",
    runtime: "containerd://2.0.6",
    kubelet: "v1.33.5-gke.1080000",
    label: "cloud.google.com/gke-nodepool",
};

pub(super) const K3S: Kind = Kind {
    os_image: "Ubuntu 24.04.3 LTS",
    kernel: "6.8.0-87-generic",
    runtime: "containerd://2.1.4-k3s1",
    kubelet: "v1.34.1+k3s1",
    label: "node.kubernetes.io/instance-type",
};

pub(super) const OPENSHIFT: Kind = Kind {
    os_image: "Red Hat Enterprise Linux CoreOS 9.6.20251015-1 (Plow)",
    kernel: "5.14.0-570.58.1.el9_6.x86_64",
    runtime: "cri-o://1.33.5-2.rhaos4.20",
    kubelet: "v1.33.5",
    label: "node.openshift.io/os_id",
};

pub(super) fn node(name: &str, kind: &Kind) -> Node {
    Node::from_object(&json!({
        "metadata": {"name": name, "labels": {kind.label: "x"}},
        "status": {"nodeInfo": {
            "kernelVersion": kind.kernel, "osImage": kind.os_image, "operatingSystem": "linux",
            "architecture": "amd64", "containerRuntimeVersion": kind.runtime,
            "kubeletVersion": kind.kubelet,
        }},
    }))
    .unwrap()
}

pub(super) fn nodes(number: usize, kind: &Kind) -> Vec<Node> {
    (1..=number)
        .map(|n| node(&format!("node-{n}"), kind))
        .collect()
}

pub(super) fn pod(name: &str, containers: &[&str], more: &Value) -> CompletePod {
    let containers: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    let mut pod = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}"),
            "annotations": {"sidecar.istio.io/status": "{}"}},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.7"}]},
    });
    for (path, value) in more.as_object().into_iter().flatten() {
        *pod.pointer_mut(path).unwrap() = value.clone();
    }
    CompletePod::from_object(&pod).unwrap()
}

pub(super) fn decisions(pods: &[CompletePod]) -> PodDecisions {
    let mut decisions = PodDecisions::default();
    for CompletePod(pod) in pods {
        decisions.add(pod, &MeshConf::default());
    }
    decisions
}

pub(super) fn meshed() -> Vec<CompletePod> {
    vec![
        pod("cart", &["cart", "istio-proxy"], &json!({})),
        pod("job", &["job"], &json!({})),
    ]
}

pub(super) fn daemon_set(namespace: &str, name: &str) -> DaemonSet {
    DaemonSet::from_object(&json!({
        "metadata": {"namespace": namespace, "name": name,
            "labels": {"app.kubernetes.io/version": "0.1.0"}},
        "spec": {"template": {"spec": {
            "containers": [{"args": ["run", "--taint=mesh-cni/not-ready"]}],
        }}},
    }))
    .unwrap()
}

pub(super) fn common(nodes: Vec<Node>) -> Observed {
    Observed {
        server: "v1.34.4".to_owned(),
        namespace: "kube-system".to_owned(),
        nodes: Some(nodes),
        daemon_sets: Some(Vec::new()),
        pods: Some(decisions(&meshed())),
        ..Observed::default()
    }
}

pub(super) fn before(nodes: Vec<Node>) -> ObservedBefore {
    ObservedBefore {
        common: common(nodes),
        rights: Some(
            ["create", "patch"]
                .map(|verb| Right {
                    what: format!("{verb} daemonsets.apps"),
                    is_allowed: true,
                })
                .into(),
        ),
        installation: Some(Installation::Namespace(BTreeMap::new())),
        istio: Some(Vec::new()),
        istio_namespace: "istio-system".to_owned(),
    }
}

pub(super) fn injector(name: &str, values: &Value) -> ConfigMap {
    ConfigMap {
        namespace: "istio-system".to_owned(),
        name: name.to_owned(),
        values: Some(values.to_string()),
    }
}

/// The agent of a node, ready, with the usual directories.
pub(super) fn agent(node: &str) -> AgentPod {
    AgentPod {
        name: PodName::new("kube-system", &format!("mesh-cni-agent-{node}")),
        node: node.to_owned(),
        is_ready: true,
        phase: "Running".to_owned(),
        bin_dir: Some("/opt/cni/bin".to_owned()),
        conf_dir: Some("/etc/cni/net.d".to_owned()),
        run_dir: Some("/run/mesh-cni".to_owned()),
        ..AgentPod::default()
    }
}

/// What it answers, changed by a merge of the top-level fields.
pub(super) fn answer(more: &Value) -> AgentAnswer {
    let mut answer = json!({
        "status": "installed", "reasons": [], "state": "running", "why": "every check passes",
        "agent": {
            "state": "running", "why": "every check passes", "version": "0.1.0",
            "backend": {"name": "netlink", "detail": "the preferred back end works"},
            "repair": {"remedies": ["repair"], "done": 0, "failed": 0, "broken": 0, "pods": []},
        },
    });
    for (path, value) in more.as_object().into_iter().flatten() {
        *answer.pointer_mut(path).unwrap() = value.clone();
    }
    serde_json::from_value(answer).unwrap()
}

/// A cluster in which everything works.
pub(super) fn after(nodes: Vec<Node>) -> ObservedAfter {
    let names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
    let agents = names.iter().map(|name| (name.clone(), agent(name)));
    let answers = names
        .iter()
        .map(|name| (name.clone(), Ok(answer(&json!({})))));
    ObservedAfter {
        agents: agents.collect(),
        answers: answers.collect(),
        common: Observed {
            daemon_sets: Some(vec![daemon_set("kube-system", "mesh-cni-agent")]),
            ..common(nodes)
        },
        lists: BTreeMap::new(),
        events: Some(Vec::new()),
    }
}
