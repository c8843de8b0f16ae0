//! The plugins as their own agents install them, and nodes with them.

use std::collections::BTreeSet;

use mesh_cni_installer::{
    Chaining, NodePaths, NodeState, Note, Peer, Settings, Step, UninstallOptions, plan_uninstall,
};
use serde_json::{Value, json};

use crate::fixture::{entry, node, options, settings, with_binary, written};

pub(super) const FILE: &str = "10-calico.conflist";

pub(super) const MODES: [Chaining; 4] = [
    Chaining::Chained,
    Chaining::OwnedFirst,
    Chaining::DropIn,
    Chaining::StandAlone,
];

/// A peer, a profile that serves its pods, and its entry as its own agent writes it.
pub(super) struct Member {
    pub(super) peer: Peer,
    pub(super) profile: &'static str,
    pub(super) entry: Value,
}

pub(super) fn linkerd() -> Member {
    Member {
        peer: Peer::LinkerdCni,
        profile: "linkerd",
        entry: json!({
            "name": "linkerd-cni",
            "type": "linkerd-cni",
            "log_level": "debug",
            "kubernetes": {"kubeconfig": "/etc/cni/net.d/ZZZ-linkerd-cni-kubeconfig"},
            "linkerd": {
                "incoming-proxy-port": 4143,
                "outgoing-proxy-port": 4140,
                "proxy-uid": 2102,
                "ports-to-redirect": [],
                "inbound-ports-to-ignore": ["4191", "4190"],
                "simulate": false,
                "use-wait-flag": false,
                "iptables-mode": "legacy",
                "ipv6": false
            }
        }),
    }
}

pub(super) fn kuma() -> Member {
    Member {
        peer: Peer::KumaCni,
        profile: "kuma",
        entry: json!({
            "cniVersion": "0.3.1",
            "name": "kuma-cni",
            "type": "kuma-cni",
            "log_level": "debug",
            "kubernetes": {
                "kubeconfig": "/etc/cni/net.d/ZZZ-kuma-cni-kubeconfig",
                "cni_bin_dir": "/opt/cni/bin",
                "exclude_namespaces": ["kube-system", "kuma-system"]
            }
        }),
    }
}

pub(super) fn istio() -> Member {
    Member {
        peer: Peer::IstioCni,
        profile: "istio",
        entry: json!({
            "type": "istio-cni",
            "plugin_log_level": "info",
            "exclude_namespaces": ["istio-system"]
        }),
    }
}

pub(super) fn list(members: &[&Member]) -> String {
    let mut plugins = Vec::from([json!({"type": "calico"}), json!({"type": "portmap"})]);
    plugins.extend(members.iter().map(|member| member.entry.clone()));
    let list = json!({"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": plugins});
    format!("{list:#}\n")
}

/// A node with these peers, each with its binary and kubeconfig.
pub(super) fn node_with(members: &[&Member]) -> NodeState {
    with_files(members, node(&[(FILE, &list(members))]))
}

pub(super) fn with_files(members: &[&Member], state: NodeState) -> NodeState {
    let peers: BTreeSet<_> = members.iter().map(|member| member.peer).collect();
    NodeState {
        peer_binaries: peers.clone(),
        peer_kubeconfigs: peers,
        ..with_binary(state)
    }
}

pub(super) fn serving(members: &[&Member]) -> Settings {
    let profiles: Vec<_> = members.iter().map(|member| member.profile).collect();
    let mut settings = settings();
    settings.entry = entry(json!({"profile": profiles}));
    settings
}

pub(super) fn replacing(members: &[&Member]) -> Settings {
    let mut settings = serving(members);
    settings.replace = members.iter().map(|member| member.peer).collect();
    settings
}

pub(super) fn restoring(members: &[&Member]) -> UninstallOptions {
    UninstallOptions {
        restore: members.iter().map(|member| member.peer).collect(),
        ..options()
    }
}

/// The node after the replacement.
pub(super) fn replaced(members: &[&Member]) -> NodeState {
    let text = written(&replacing(members), &node_with(members), FILE);
    with_files(members, node(&[(FILE, &text)]))
}

pub(super) fn ours(list: &str) -> Value {
    let list: Value = serde_json::from_str(list).unwrap();
    let plugins = list["plugins"].as_array().unwrap();
    let mut ours = plugins.iter().filter(|plugin| plugin["type"] == "mesh-cni");
    let only = ours.next().unwrap().clone();
    assert_eq!(ours.next(), None, "{list}");
    only
}

/// The types in the first list that an uninstallation writes, and its notes.
pub(super) fn left(state: &NodeState, options: &UninstallOptions) -> (Vec<String>, Vec<Note>) {
    let plan = plan_uninstall(&NodePaths::default(), state, options);
    let mut texts = plan.steps.iter().filter_map(|step| match step {
        Step::WriteList { text, .. } => Some(String::from_utf8(text.clone()).unwrap()),
        _ => None,
    });
    let text = texts.next().unwrap();
    assert!(!text.contains("mesh-cni/replaced"), "{text}");
    let list: Value = serde_json::from_str(&text).unwrap();
    let types = list["plugins"].as_array().unwrap().iter();
    let types = types.map(|plugin| plugin["type"].as_str().unwrap().to_owned());
    (types.collect(), plan.notes)
}
