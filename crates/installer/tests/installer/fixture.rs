//! Node states as values, and plans for them as text.

use std::collections::BTreeSet;
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
        text: text.as_bytes().to_vec(),
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

/// The same node with an up-to-date binary.
pub(crate) fn with_binary(state: NodeState) -> NodeState {
    NodeState {
        binary: Binary::Ready,
        ..state
    }
}

/// The same node with a renamed single plugin's file.
pub(crate) fn with_saved(mut state: NodeState, name: &str, text: &str) -> NodeState {
    state.saved.push(file(name, text));
    state
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
        restore: BTreeSet::new(),
    }
}

pub(crate) fn installing(settings: &Settings, state: &NodeState) -> String {
    plan_text(state, plan_install(settings, state))
}

pub(crate) fn uninstalling(state: &NodeState) -> String {
    uninstalling_as(state, &options())
}

pub(crate) fn uninstalling_as(state: &NodeState, options: &UninstallOptions) -> String {
    plan_text(
        state,
        Ok(plan_uninstall(&NodePaths::default(), state, options)),
    )
}

/// The content that an installation writes to this file.
pub(crate) fn written(settings: &Settings, state: &NodeState, name: &str) -> String {
    let plan = plan_install(settings, state).unwrap();
    let mut texts = plan.steps.into_iter().filter_map(|step| match step {
        Step::WriteList { path, text, .. } if path.ends_with(name) => String::from_utf8(text).ok(),
        _ => None,
    });
    texts.next().unwrap()
}

/// The same node with a network directory that contains only our file, or nothing.
pub(crate) fn with_drop_in(mut state: NodeState, network: &str, text: Option<&str>) -> NodeState {
    state.drop_ins.push(DropIn {
        network: network.to_owned(),
        text: text.map(|text| text.as_bytes().to_vec()),
        shared: false,
    });
    state
}

fn lines(text: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

fn plan_text(state: &NodeState, plan: Result<Plan, Refusal>) -> String {
    let mut text = String::from("the node\n");
    let mut line = |indent: &str, line: &str| writeln!(text, "{indent}{line}").unwrap();
    line("  ", &format!("binary: {:?}", state.binary));
    for conf in &state.confs {
        line("  ", conf.name.as_str());
        lines(&conf.text).for_each(|json| line("    ", &json));
    }
    for saved in &state.saved {
        line("  ", &format!("{} renamed", saved.name));
        lines(&saved.text).for_each(|json| line("    ", &json));
    }
    for directory in &state.drop_ins {
        line("  ", &format!("{}/", directory.network));
        let text = directory.text.as_deref().unwrap_or_default();
        lines(text).for_each(|json| line("    ", &json));
    }
    if let Some(kubeconfig) = &state.kubeconfig {
        line("  ", &format!("kubeconfig, mode {:04o}", kubeconfig.mode));
    }
    for file in &state.run_files {
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
                    lines(text).for_each(|json| line("    ", &json));
                }
            }
            line("", "the notes");
            let notes = plan.notes.iter();
            notes.for_each(|note| line("  ", &note.to_string()));
        }
    }
    text
}
