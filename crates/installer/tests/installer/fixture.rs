//! A node as a value, and a plan for it as text.

use std::fmt::Write;
use std::time::Duration;

use mesh_cni_installer::{
    Binary, BinaryRemoval, Chaining, ConfFile, ConfName, DropIn, Entry, NodePaths, NodeState, Plan,
    Refusal, Settings, Step, UninstallOptions, error_chain, plan_install, plan_uninstall,
};
use serde_json::{Value, json};

pub(crate) const CALICO: &str = r#"{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "mtu": 0},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"#;

pub(crate) const BRIDGE: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "lab",
  "type": "bridge",
  "ipam": {"type": "host-local"}
}
"#;

pub(crate) fn file(name: &str, text: &str) -> ConfFile {
    ConfFile {
        name: name_of(name),
        text: text.to_owned(),
    }
}

pub(crate) fn name_of(name: &str) -> ConfName {
    ConfName::new(name).unwrap()
}

/// A node with these network configurations.
pub(crate) fn node(confs: &[(&str, &str)]) -> NodeState {
    let mut confs: Vec<_> = confs.iter().map(|(name, text)| file(name, text)).collect();
    confs.sort_by(|one, other| one.name.cmp(&other.name));
    NodeState {
        confs,
        ..NodeState::default()
    }
}

/// The same node with the binary in place.
pub(crate) fn with_binary(found: NodeState) -> NodeState {
    NodeState {
        binary: Binary::Ready,
        ..found
    }
}

/// The same node with a file that was set aside.
pub(crate) fn with_saved(mut found: NodeState, name: &str, text: &str) -> NodeState {
    found.saved.push(file(name, text));
    found
}

pub(crate) fn entry(fields: Value) -> Entry {
    let Value::Object(fields) = fields else {
        panic!("an entry is an object");
    };
    Entry::new(fields).unwrap()
}

pub(crate) fn settings() -> Settings {
    let entry = entry(json!({"exclude_namespaces": ["kube-system"]}));
    Settings::new(NodePaths::default(), entry)
}

pub(crate) fn stand_alone() -> Settings {
    let mut settings = settings();
    settings.chaining = Chaining::StandAlone;
    settings
}

pub(crate) fn owned_first() -> Settings {
    let mut settings = settings();
    settings.chaining = Chaining::OwnedFirst;
    settings
}

pub(crate) fn dropping_in() -> Settings {
    let mut settings = settings();
    settings.chaining = Chaining::DropIn;
    settings
}

pub(crate) fn options() -> UninstallOptions {
    UninstallOptions {
        binary: BinaryRemoval::Always,
        grace: Duration::from_secs(2),
        restore_istio_cni: false,
    }
}

pub(crate) fn installing(settings: &Settings, found: &NodeState) -> String {
    told(found, plan_install(settings, found))
}

pub(crate) fn uninstalling(found: &NodeState) -> String {
    uninstalling_as(found, &options())
}

pub(crate) fn uninstalling_as(found: &NodeState, options: &UninstallOptions) -> String {
    told(found, plan_uninstall(&NodePaths::default(), found, options))
}

/// The text that an install writes to this file on this node.
pub(crate) fn written(settings: &Settings, found: &NodeState, name: &str) -> String {
    let plan = plan_install(settings, found).unwrap();
    let mut texts = plan.steps.into_iter().filter_map(|step| match step {
        Step::WriteList { path, text, .. } if path.ends_with(name) => Some(text),
        _ => None,
    });
    texts.next().unwrap()
}

/// The same node with our plugin in the directory of a network, and nothing else there.
pub(crate) fn with_drop_in(mut found: NodeState, network: &str, text: Option<&str>) -> NodeState {
    found.drop_ins.push(DropIn {
        network: network.to_owned(),
        text: text.map(str::to_owned),
        shared: false,
    });
    found
}

fn told(found: &NodeState, plan: Result<Plan, Refusal>) -> String {
    let mut text = String::from("the node\n");
    let mut line = |indent: &str, line: &str| writeln!(text, "{indent}{line}").unwrap();
    line("  ", &format!("binary: {:?}", found.binary));
    for conf in &found.confs {
        line("  ", conf.name.as_str());
        conf.text.lines().for_each(|json| line("    ", json));
    }
    for saved in &found.saved {
        line("  ", &format!("{} set aside", saved.name));
        saved.text.lines().for_each(|json| line("    ", json));
    }
    for directory in &found.drop_ins {
        line("  ", &format!("{}/", directory.network));
        let text = directory.text.as_deref().unwrap_or_default();
        text.lines().for_each(|json| line("    ", json));
    }
    if let Some(kubeconfig) = &found.kubeconfig {
        line("  ", &format!("kubeconfig, mode {:04o}", kubeconfig.mode));
    }
    for file in &found.run_files {
        line("  ", &file.display().to_string());
    }
    match plan {
        Err(refusal) => {
            line("", "refused");
            line("  ", &error_chain(&refusal));
            line("  ", &format!("hint: {}", refusal.remedy()));
        }
        Ok(plan) => {
            line("", "the steps");
            for step in &plan.steps {
                line("  ", &step.to_string());
                if let Step::WriteList { text, .. } = step {
                    text.lines().for_each(|json| line("    ", json));
                }
            }
            line("", "the notes");
            let notes = plan.notes.iter();
            notes.for_each(|note| line("  ", &note.to_string()));
        }
    }
    text
}
