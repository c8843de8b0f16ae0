//! A pod's settings, one `KEY=VALUE` line each, and the rules that follow from them.

use std::net::IpAddr;

use mesh_cni_netfilter::{RuleSet, drift, only_ours, parse, render};
use mesh_cni_nftables::{compat, native};
use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_rules::MAX_RULES;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_rules::istio::settings::Annotation;
use mesh_cni_selector::{ContainerFacts, PodFacts};

use crate::iptables_save::saved;
use crate::kernel_answers::dumped;
use crate::property::assert_bounded_error;

/// The longest rule has an interface, a range and a port.
const MOST_RULE_BYTES: usize = 256;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let facts = facts(text);
    for ruleset in ["asm", "istio"] {
        let conf = format!(r#"{{"type": "mesh-cni", "ruleset": "{ruleset}"}}"#);
        let conf = MeshConf::from_json(&conf).expect("a valid entry").conf;
        match decide(&facts, &conf) {
            Ok(Decision::Redirect(redirection)) => {
                let rules = redirection.rule_sets.iter().map(RuleSet::rule_count);
                assert!(rules.sum::<usize>() <= MAX_RULES);
                redirection.rule_sets.iter().for_each(check);
            }
            Ok(decision) => unreachable!("the pod has a proxy, but {decision:?}"),
            Err(error) => assert_bounded_error(&error),
        }
    }
}

/// A pod with a proxy and these settings: variables in capitals, `addresses`, and annotations by the
/// last part of their key.
fn facts(text: &str) -> PodFacts {
    let mut proxy = ContainerFacts {
        name: "istio-proxy".to_owned(),
        ..ContainerFacts::default()
    };
    let mut facts = PodFacts {
        namespace: "shop".to_owned(),
        name: "cart".to_owned(),
        ..PodFacts::default()
    };
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let annotation = Annotation::ALL
            .into_iter()
            .find(|annotation| annotation.key().ends_with(key));
        match key {
            "runAsUser" => proxy.run_as_user = value.parse().ok(),
            "runAsGroup" => proxy.run_as_group = value.parse().ok(),
            "addresses" => {
                let addresses = value.split(',').filter_map(|ip| ip.parse::<IpAddr>().ok());
                facts.addresses.extend(addresses);
            }
            _ if key.starts_with(|first: char| first.is_ascii_uppercase()) => {
                proxy.env.insert(key.to_owned(), value.to_owned());
            }
            _ => {
                if let Some(annotation) = annotation {
                    facts
                        .annotations
                        .insert(annotation.key().to_owned(), value.to_owned());
                }
            }
        }
    }
    let status = ("sidecar.istio.io/status".to_owned(), "{}".to_owned());
    facts.annotations.extend([status]);
    let application = ContainerFacts {
        name: "cart".to_owned(),
        ..ContainerFacts::default()
    };
    facts.containers = vec![application, proxy];
    facts
}

/// The rules are the same after each back end and its reader.
fn check(rules: &RuleSet) {
    let text = render::restore(rules);
    assert!(
        text.len() <= MOST_RULE_BYTES * (rules.rule_count() + 16),
        "{text}"
    );
    let saved = saved(rules);
    let read = parse::save(&saved, rules.family).expect("rendered rules can be parsed");
    let created = compat::create(rules).expect("compiled rules can be written");
    let installed = compat::read(&dumped(created), rules.family).rules;
    let created = native::create(rules).expect("compiled rules can be written");
    let native = native::read(&dumped(created), rules.family);
    for mut read in [read, installed, native] {
        // It is not part of the tables.
        read.routing = rules.routing;
        assert_eq!(drift(rules, &read, &OWNERSHIP), None, "{saved}");
    }
    assert_eq!(
        only_ours(rules, &OWNERSHIP).rule_count(),
        rules.rule_count()
    );
}
