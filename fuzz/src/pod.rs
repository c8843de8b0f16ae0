//! A pod as YAML or JSON: its facts, and the decision about it.

use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_rules::MAX_RULES;
use mesh_cni_selector::PodFacts;
use serde_json::Value;

use crate::property::{assert_bounded_error, assert_one_line};

/// An empty container takes about 200 bytes, and nine bytes of text.
const MOST_GROWTH: usize = 64;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match PodFacts::from_manifests(text) {
        Ok(pods) => {
            for pod in pods {
                match pod {
                    Ok(facts) => check(&facts),
                    Err(error) => assert_bounded_error(&error),
                }
            }
        }
        Err(error) => assert_bounded_error(&error),
    }
    if let (Ok(object), Ok(facts)) = (
        serde_json::from_str::<Value>(text),
        PodFacts::from_manifest(text),
    ) && object["kind"] == "Pod"
    {
        let memory = facts.memory_bytes();
        assert!(
            memory <= MOST_GROWTH * text.len(),
            "{memory} bytes of {}",
            text.len()
        );
        assert_eq!(PodFacts::from_object(&object), Ok(facts));
    }
}

/// The facts survive the way from the agent to the plugin, and decide the same there.
pub(crate) fn check(facts: &PodFacts) {
    let json = serde_json::to_vec(facts).expect("facts have a JSON form");
    let read: PodFacts = serde_json::from_slice(&json).expect("written facts are facts");
    assert_eq!(read, *facts);
    let kept = facts.clone().only_mesh_settings();
    assert!(kept.memory_bytes() <= facts.memory_bytes());
    for profile in ["asm", "istio"] {
        let conf = format!(r#"{{"type": "mesh-cni", "profile": "{profile}"}}"#);
        let conf = MeshConf::from_json(&conf).expect("a valid entry").conf;
        let decision = decide(facts, &conf);
        assert_eq!(decide(&kept, &conf), decision);
        match decision {
            Ok(Decision::Redirect(redirection)) => {
                let rules = redirection
                    .rule_sets
                    .iter()
                    .map(mesh_cni_netfilter::RuleSet::rule_count);
                assert!(rules.sum::<usize>() <= MAX_RULES);
            }
            Ok(Decision::Skip(reason)) => assert_one_line(&reason.to_string()),
            Ok(_) => {}
            Err(error) => assert_bounded_error(&error),
        }
    }
}
