//! Judgements of hand-made clusters.

use std::collections::BTreeMap;

use insta::Settings;
use mesh_cni_kube::object::Object as _;
use mesh_cni_kube::pod::{CompletePod, PodName};
use mesh_cni_plan::MeshConf;
use serde_json::{Value, json};

use super::after;
use super::before;
use super::node::Node;
use super::objects::{ConfigMap, DaemonSet, PodEvent};
use super::observed::{AgentAnswer, Observed, ObservedAfter, ObservedBefore, Right};
use super::pods::PodDecisions;
use super::report::Report;
use crate::cluster::agents::AgentPod;
use crate::failure::Exit;

/// What distinguishes the nodes of a distribution.
struct Kind {
    os_image: &'static str,
    kernel: &'static str,
    runtime: &'static str,
    kubelet: &'static str,
    label: &'static str,
}

const DEBIAN: Kind = Kind {
    os_image: "Debian GNU/Linux 12 (bookworm)",
    kernel: "6.1.0-28-amd64",
    runtime: "containerd://1.6.20",
    kubelet: "v1.34.4",
    label: "kubernetes.io/os",
};

const GKE: Kind = Kind {
    os_image: "Container-Optimized OS from Google",
    kernel: "6.6.97+",
    runtime: "containerd://2.0.6",
    kubelet: "v1.33.5-gke.1080000",
    label: "cloud.google.com/gke-nodepool",
};

const K3S: Kind = Kind {
    os_image: "Ubuntu 24.04.3 LTS",
    kernel: "6.8.0-87-generic",
    runtime: "containerd://2.1.4-k3s1",
    kubelet: "v1.34.1+k3s1",
    label: "node.kubernetes.io/instance-type",
};

const OPENSHIFT: Kind = Kind {
    os_image: "Red Hat Enterprise Linux CoreOS 9.6.20251015-1 (Plow)",
    kernel: "5.14.0-570.58.1.el9_6.x86_64",
    runtime: "cri-o://1.33.5-2.rhaos4.20",
    kubelet: "v1.33.5",
    label: "node.openshift.io/os_id",
};

fn node(name: &str, kind: &Kind) -> Node {
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

fn nodes(number: usize, kind: &Kind) -> Vec<Node> {
    (1..=number)
        .map(|n| node(&format!("node-{n}"), kind))
        .collect()
}

fn pod(name: &str, containers: &[&str], more: &Value) -> CompletePod {
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

fn decisions(pods: &[CompletePod]) -> PodDecisions {
    let mut decisions = PodDecisions::default();
    for CompletePod(pod) in pods {
        decisions.add(pod, &MeshConf::default());
    }
    decisions
}

fn meshed() -> Vec<CompletePod> {
    vec![
        pod("cart", &["cart", "istio-proxy"], &json!({})),
        pod("job", &["job"], &json!({})),
    ]
}

fn daemon_set(namespace: &str, name: &str) -> DaemonSet {
    DaemonSet::from_object(&json!({
        "metadata": {"namespace": namespace, "name": name,
            "labels": {"app.kubernetes.io/version": "0.1.0"}},
        "spec": {"template": {"spec": {
            "containers": [{"args": ["run", "--taint=mesh-cni/not-ready"]}],
        }}},
    }))
    .unwrap()
}

fn common(nodes: Vec<Node>) -> Observed {
    Observed {
        server: "v1.34.4".to_owned(),
        namespace: "kube-system".to_owned(),
        nodes,
        pods: decisions(&meshed()),
        ..Observed::default()
    }
}

fn before(nodes: Vec<Node>) -> ObservedBefore {
    ObservedBefore {
        common: common(nodes),
        rights: ["create", "patch"]
            .map(|verb| Right {
                what: format!("{verb} daemonsets.apps"),
                is_allowed: true,
            })
            .into(),
        namespace_labels: Some(BTreeMap::new()),
        istio: Vec::new(),
        istio_namespace: "istio-system".to_owned(),
    }
}

fn injector(name: &str, values: &Value) -> ConfigMap {
    ConfigMap {
        namespace: "istio-system".to_owned(),
        name: name.to_owned(),
        values: Some(values.to_string()),
        entry: None,
    }
}

/// The agent of a node, ready, with the usual directories.
fn agent(node: &str) -> AgentPod {
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
fn answer(more: &Value) -> AgentAnswer {
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
fn after(nodes: Vec<Node>) -> ObservedAfter {
    let names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
    let agents = names.iter().map(|name| (name.clone(), agent(name)));
    let answers = names
        .iter()
        .map(|name| (name.clone(), Ok(answer(&json!({})))));
    ObservedAfter {
        agents: agents.collect(),
        answers: answers.collect(),
        common: Observed {
            daemon_sets: vec![daemon_set("kube-system", "mesh-cni-agent")],
            ..common(nodes)
        },
        events: Vec::new(),
    }
}

fn assert_report(name: &str, description: &str, report: &Report, verbose: bool) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_description(description);
    let text = anstream::adapter::strip_str(&report.text(verbose)).to_string();
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn before_on_gke() {
    let mut observed = before(nodes(3, &GKE));
    observed.common.daemon_sets = vec![daemon_set("kube-system", "istio-cni-node")];
    observed.istio = vec![
        injector(
            "istio-sidecar-injector-asm-1",
            &json!({"istio_cni": {"enabled": true}}),
        ),
        injector(
            "istio-sidecar-injector",
            &json!({"pilot": {"cni": {"enabled": false}}}),
        ),
        injector("istio", &json!({})),
    ];
    let report = Report::new(before::judge(&observed));
    assert_eq!(report.exit(), Exit::Done);
    assert_report(
        "check-pre-gke",
        "The platform's value is named, istio-cni-node and one of two injectors are warnings.",
        &report,
        false,
    );
}

#[test]
fn before_with_missing_rights_and_a_restricted_namespace() {
    let mut observed = before(nodes(1, &K3S));
    observed.rights[0].is_allowed = false;
    observed.namespace_labels = Some(
        [(
            "pod-security.kubernetes.io/enforce".to_owned(),
            "baseline".to_owned(),
        )]
        .into(),
    );
    observed.common.pods = decisions(&[
        pod(
            "bad-port",
            &["x", "istio-proxy"],
            &json!({"/metadata/annotations": {
                "sidecar.istio.io/status": "{}",
                "traffic.sidecar.istio.io/excludeInboundPorts": "http",
            }}),
        ),
        pod(
            "host",
            &["x", "istio-proxy"],
            &json!({"/spec": {"hostNetwork": true, "containers": [{"name": "x"}]}}),
        ),
    ]);
    observed.common.unlisted = vec!["cannot read events: 403".to_owned()];
    observed.common.unreadable = vec!["pod \"a\"/\"b\": it is too large".to_owned()];
    let report = Report::new(before::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-pre-k3s",
        "A missing right, the namespace's level, a refused pod and an unlisted kind fail, each with a hint.",
        &report,
        false,
    );
}

#[test]
fn before_on_openshift() {
    let report = Report::new(before::judge(&before(nodes(1, &OPENSHIFT))));
    assert_report(
        "check-pre-openshift",
        "OpenShift's directories and platform; the runtime's CNI version is not known.",
        &report,
        false,
    );
}

#[test]
fn five_thousand_nodes_are_a_few_lines() {
    let mut all = nodes(4998, &GKE);
    all.push(node("edge", &K3S));
    let mut windows = node("win", &DEBIAN);
    (windows.os, windows.os_image) = ("windows".to_owned(), "Windows Server 2022".to_owned());
    let mut arm = node("arm", &DEBIAN);
    arm.architecture = "riscv64".to_owned();
    all.extend([windows, arm]);
    let report = Report::new(before::judge(&before(all.clone())));
    assert_report(
        "check-pre-mixed",
        "Groups of equal nodes with counts and three names; two pairs of directories are a warning.",
        &report,
        false,
    );
    assert!(report.text(true).lines().count() > 5000);
    let after = Report::new(after::judge(&after(all)));
    assert!(after.text(false).lines().count() < 40);
}

#[test]
fn after_without_problems() {
    let report = Report::new(after::judge(&after(nodes(3, &DEBIAN))));
    assert_eq!(report.exit(), Exit::Done);
    assert_report("check-ok", "Every line is ok.", &report, false);
}

#[test]
fn after_without_an_installation() {
    let mut observed = after(nodes(3, &DEBIAN));
    observed.common.daemon_sets[0].namespace = "mesh".to_owned();
    let report = Report::new(after::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-none",
        "Only the DaemonSet is reported.",
        &report,
        false,
    );
}

/// Each node has another fault.
#[test]
fn after_with_broken_nodes() {
    let mut all = nodes(9, &DEBIAN);
    all.push(node("gke-1", &GKE));
    all[8].taints = vec!["mesh-cni/not-ready".to_owned()];
    let mut observed = after(all);
    observed.agents.remove("node-1");
    observed.answers.remove("node-1");
    let set = |observed: &mut ObservedAfter, node: &str, more: Value| {
        *observed.answers.get_mut(node).unwrap() = Ok(answer(&more));
    };
    set(
        &mut observed,
        "node-2",
        json!({"/status": "partly", "/reasons": ["/host/cni-conf/10-net.conflist has no mesh-cni entry"]}),
    );
    let broken = json!([{"pod": "shop/cart", "why": "its rules differ: nat ISTIO_INBOUND, rule 2 is missing"}]);
    set(
        &mut observed,
        "node-3",
        json!({"/agent/repair/broken": 2, "/agent/repair/pods": broken}),
    );
    set(&mut observed, "node-4", json!({"/agent/version": "0.0.9"}));
    set(
        &mut observed,
        "node-5",
        json!({"/agent/backend": {"detail": "netlink: no nf_tables"}}),
    );
    set(&mut observed, "node-6", json!({"/agent/repair": null}));
    *observed.answers.get_mut("node-7").unwrap() =
        Err("the program did not end within 15 s".to_owned());
    let waiting = observed.agents.get_mut("node-8").unwrap();
    (waiting.is_ready, waiting.waits_for) = (false, Some("ImagePullBackOff".to_owned()));
    observed.answers.remove("node-8");
    observed.common.pods = decisions(&[
        pod(
            "new",
            &["x", "istio-proxy"],
            &json!({"/status/phase": "Pending"}),
        ),
        pod(
            "six",
            &["x", "istio-proxy"],
            &json!({"/status/podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}]}),
        ),
    ]);
    let event = |uid: &str| {
        PodEvent {
        uid: uid.to_owned(),
        message: "Failed to create pod sandbox: rpc error: plugin type=\"mesh-cni\" failed (add): the agent does \
                  not answer; start it"
            .to_owned(),
    }
    };
    observed.events = vec![event("uid-new"), event("uid-new"), event("uid-gone")];
    let report = Report::new(after::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-broken",
        "Each faulty node or pod is named in one finding, with a hint that fits.",
        &report,
        false,
    );
}
