//! The page of one pod: the conditions of its decision, its expected rules, and its live rules.

use maud::{Markup, html};
use mesh_cni_netfilter::{Listing, Ownership, RuleSet};
use mesh_cni_plan::{Decision, ExpectedRules, MeshConf};
use mesh_cni_selector::{Condition, PodFacts, conditions};

use super::walk::{self, WalkQuery};
use super::{MAX_LISTING_BYTES, document, prose, shortened, table, text, yes_or_no};
use crate::decide::{decide, describe};
use crate::live_rules::LiveRules;
use mesh_cni_kube::pod::Pod;

/// The page of that pod.
pub(crate) fn page(pod: &Pod, conf: &MeshConf, live: &LiveRules) -> Markup {
    let decision = decide(pod, conf);
    let (word, reason) = describe(&decision);
    let (expected, warnings) = match decision {
        Ok(Decision::Redirect(redirection) | Decision::Enrol(redirection)) => {
            let warnings = redirection.warnings.clone();
            (ExpectedRules::of(*redirection), warnings)
        }
        Ok(Decision::OwnPod | Decision::Skip(_)) | Err(_) => {
            (ExpectedRules::none(conf), Vec::new())
        }
    };
    let query = WalkQuery {
        pod: pod.name.to_string(),
        ..WalkQuery::default()
    };
    document(
        &format!("Pod {}", pod.name),
        &html! {
            p { a href="/" { "the node" } }
            p { (word.as_str()) ": " (prose(&reason)) }
            p { "UID " (pod.uid) ", phase " (pod.phase) "." }
            @for warning in &warnings { p { "Warning: " (prose(&warning.to_string())) } }
            @if let Ok(facts) = &pod.facts {
                (condition_table(facts, conf))
                (rules(&expected, live))
            }
            (walk::form(&query))
        },
    )
}

fn condition_table(facts: &PodFacts, conf: &MeshConf) -> Markup {
    let row = |condition: Condition| {
        let holds = yes_or_no(condition.holds);
        [prose(condition.name), text(holds), prose(&condition.fact)]
    };
    let conditions = conditions(facts, &conf.policy());
    let rows: Vec<_> = conditions.into_iter().map(row).collect();
    html! { h2 { "Conditions" } (table(["Condition", "Holds", "Fact"], &rows)) }
}

fn rules(expected: &ExpectedRules, live: &LiveRules) -> Markup {
    match live {
        Ok(live) => html! {
            h2 { "Live rules, with counters" }
            p { (prose(&comparison(expected, live))) }
            (listings(live, expected.ownership()))
        },
        Err(reason) if expected.rule_sets.is_empty() => html! { p { (prose(reason)) } },
        Err(reason) => {
            html! { h2 { "Expected rules" } p { (prose(reason)) } (listings(&expected.rule_sets, expected.ownership())) }
        }
    }
}

fn comparison(expected: &ExpectedRules, live: &[RuleSet]) -> String {
    match expected.drift(live) {
        Some(difference) => format!("They are not as expected: {difference}."),
        None if expected.rule_sets.is_empty() => {
            "The pod has none of our rules, as expected.".to_owned()
        }
        None => "They are as expected.".to_owned(),
    }
}

/// Every table that is not empty.
fn listings(rule_sets: &[RuleSet], ownership: &Ownership) -> Markup {
    html! {
        @for rules in rule_sets {
            @for table in &rules.tables {
                h3 { (rules.family) ", table " (table.name.as_str()) }
                @let listing = Listing::of(rules, table.name, ownership).to_string();
                pre { (shortened(&listing, MAX_LISTING_BYTES)) }
            }
        }
        @if rule_sets.iter().all(|rules| rules.tables.is_empty()) { p { "No rules." } }
    }
}

#[cfg(test)]
mod tests {
    use mesh_cni_netfilter::Family;
    use serde_json::json;

    use super::*;

    /// A pod with a sidecar and one IPv4 address.
    fn pod(namespace: &str, containers: &[&str]) -> Pod {
        let containers: Vec<_> = containers
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        Pod::from_object(&json!({
            "metadata": {
                "namespace": namespace, "name": "mesh-cni-agent-x7x2p", "uid": "c-1",
                "annotations": {"sidecar.istio.io/status": "{}"},
            },
            "spec": {"containers": containers},
            "status": {"podIPs": [{"ip": "10.0.0.7"}]},
        }))
        .unwrap()
    }

    fn rules_of(pod: &Pod, conf: &MeshConf) -> Vec<RuleSet> {
        match decide(pod, conf) {
            Ok(Decision::Redirect(redirection)) => redirection.rule_sets,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_skipped_pod_with_rules_of_ours_is_not_as_expected() {
        let conf = MeshConf::default();
        let redirected = pod("shop", &["app", "istio-proxy"]);
        let live = Ok(rules_of(&redirected, &conf));
        let page = page(&pod("shop", &["app"]), &conf, &live).0;
        assert!(
            page.contains("They are not as expected: table nat: chain"),
            "{page}"
        );
        let none = Ok(vec![RuleSet::new(Family::V4), RuleSet::new(Family::V6)]);
        let page = super::page(&pod("shop", &["app"]), &conf, &none).0;
        assert!(
            page.contains("The pod has none of our rules, as expected."),
            "{page}"
        );
    }

    #[test]
    fn rules_of_a_family_that_is_not_expected_are_not_as_expected() {
        let conf = MeshConf::default();
        let redirected = pod("shop", &["app", "istio-proxy"]);
        let mut live = rules_of(&redirected, &conf);
        assert_eq!(live.len(), 1, "only IPv4 is expected");
        let as_expected = page(&redirected, &conf, &Ok(live.clone())).0;
        assert!(
            as_expected.contains("They are as expected."),
            "{as_expected}"
        );
        let mut v6 = live[0].clone();
        v6.family = Family::V6;
        live.push(v6);
        let page = page(&redirected, &conf, &Ok(live)).0;
        assert!(page.contains("They are not as expected"), "{page}");
    }

    #[test]
    fn the_agents_own_pod_is_skipped() {
        let mut conf = MeshConf::default();
        conf.pod_namespace = Some("istio-system".to_owned());
        let own = pod("istio-system", &["agent", "istio-proxy"]);
        let page = page(&own, &conf, &Err("not visible".to_owned())).0;
        assert!(page.contains("skip: it is the agent's own pod"), "{page}");
        assert!(!page.contains("Expected rules"), "{page}");
    }
}
