//! The settings and the rules of Kuma.

mod complete;
mod contract;
mod ownership;
mod refusals;
mod single_annotations;

use mesh_cni_netfilter::Family;
use mesh_cni_netfilter::RuleSet;
use mesh_cni_rules::kuma::{Interception, PodSettings, Resolved};
use serde_json::Value;

/// What the configuration annotation configures.
fn resolved(config: &Value) -> Resolved {
    let settings = PodSettings {
        config: Some(config),
        ..PodSettings::default()
    };
    settings.resolve().expect("the settings are valid")
}

fn interception(config: &Value) -> Interception {
    resolved(config).interception
}

fn rules(config: &Value, family: Family) -> RuleSet {
    interception(config).compile(family)
}

/// Compares refusals with `tests/snapshots/NAME.snap`.
fn assert_refusals(name: &str, refusals: &[String]) {
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "the setting, its value, the invalid item with its position, and what is valid",
    }, { insta::assert_snapshot!(name, refusals.join("\n")) });
}
