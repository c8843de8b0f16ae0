//! One pod: the conditions of its decision, the rules that it should have, and those that it has.

use mesh_cni_netfilter::{Listing, RuleSet, drift};
use mesh_cni_plan::{MeshConf, Plan, plan};
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_selector::{PodFacts, conditions};

use super::markup::Document;
use super::walk::{self, Asked};
use super::{addresses, decision};
use crate::Pod;

/// The rules that stand in the pod's namespace, or why they cannot be told.
pub(crate) type LiveRules = Result<Vec<RuleSet>, String>;

/// The page of that pod.
pub(crate) fn page(pod: &Pod, conf: &MeshConf, live: &LiveRules) -> String {
    let mut page = Document::new(&format!("Pod {}", pod.name));
    let (decision, reason) = decision(pod, conf);
    page.raw("<p><a href=\"/\">the node</a></p>");
    page.paragraph(&format!("{decision}: {reason}"));
    page.paragraph(&format!("UID {}, phase {}.", pod.uid, pod.phase));
    if let Ok(facts) = &pod.facts {
        condition_table(&mut page, facts, conf);
        let planned = plan(facts, conf, &addresses(pod));
        let wanted = match planned {
            Ok(Plan::Redirect(redirection)) => redirection.rule_sets,
            Ok(Plan::Skip(_)) | Err(_) => Vec::new(),
        };
        rules(&mut page, &wanted, live);
    }
    let asked = Asked {
        pod: pod.name.to_string(),
        ..Asked::default()
    };
    walk::form(&mut page, &asked);
    page.end()
}

fn condition_table(page: &mut Document, facts: &PodFacts, conf: &MeshConf) {
    page.raw("<h2>Conditions</h2><table><thead><tr><th>Condition</th><th>Holds</th><th>Fact</th></tr></thead><tbody>");
    for condition in conditions(facts, &conf.policy()) {
        let holds = if condition.holds { "yes" } else { "no" };
        page.row(&[condition.name, holds, &condition.fact]);
    }
    page.raw("</tbody></table>");
}

fn rules(page: &mut Document, wanted: &[RuleSet], live: &LiveRules) {
    match live {
        Ok(live) => {
            page.raw("<h2>Rules that stand, with counters</h2>");
            let mut pairs = wanted.iter().zip(live);
            let difference = pairs.find_map(|(wanted, live)| drift(wanted, live, &OWNERSHIP));
            page.paragraph(&match difference {
                Some(difference) => format!("They are not as they should be: {difference}."),
                None => "They are as they should be.".to_owned(),
            });
            listings(page, live);
        }
        Err(words) if wanted.is_empty() => page.paragraph(words),
        Err(words) => {
            page.raw("<h2>Rules that it should have</h2>");
            page.paragraph(words);
            listings(page, wanted);
        }
    }
}

/// Every table that holds something.
fn listings(page: &mut Document, rule_sets: &[RuleSet]) {
    for rules in rule_sets {
        for table in &rules.tables {
            page.raw(&format!(
                "<h3>{}, table {}</h3>",
                rules.family,
                table.name.as_str()
            ));
            page.preformatted(&Listing::of(rules, table.name, &OWNERSHIP).to_string());
        }
    }
    let empty = |rules: &RuleSet| rules.tables.is_empty();
    if rule_sets.iter().all(empty) {
        page.paragraph("There are none.");
    }
}
