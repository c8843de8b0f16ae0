//! A pod's settings, one `KEY=VALUE` line each, and the rules that follow from them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_cni_netfilter::{RuleSet, drift, only_ours, parse, render};
use mesh_cni_nftables::{compat, native};
use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_rules::istio::settings::Annotation;
use mesh_cni_rules::{MAX_RULES, Mesh, ownership};
use mesh_cni_selector::{ContainerFacts, NameServers, PodFacts};

use serde_json::json;

use crate::iptables_save::saved;
use crate::kernel_answers::dumped;
use crate::property::assert_bounded_error;

/// The longest rule has fifteen ports, which Linkerd's comment repeats.
const MOST_RULE_BYTES: usize = 320;

/// What the annotations of the other meshes than Istio begin with.
const OTHER_ANNOTATIONS: [&str; 3] = ["config.linkerd.io/", "kuma.io/", "traffic.kuma.io/"];

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let facts = facts(text);
    for ruleset in ["asm", "istio"] {
        let conf = json!({
            "type": "mesh-cni",
            "profile": ["asm", "linkerd", "kuma"],
            "ruleset": ruleset,
            "cluster_dns": ["10.96.0.10"],
        });
        let conf = MeshConf::from_json(&conf.to_string())
            .expect("a valid entry")
            .conf;
        match decide(&facts, &conf) {
            Ok(Decision::Redirect(redirection)) => {
                let rules = redirection.rule_sets.iter().map(RuleSet::rule_count);
                assert!(rules.sum::<usize>() <= MAX_RULES);
                let mesh = redirection.interception.mesh();
                let rule_sets = redirection.rule_sets.iter();
                rule_sets.for_each(|rules| check(rules, mesh));
            }
            Ok(decision) => unreachable!("the pod has a proxy, but {decision:?}"),
            Err(error) => assert_bounded_error(&error),
        }
    }
}

/// A pod with a proxy, that of `mesh`, and these settings: variables in capitals, `addresses`, and annotations,
/// those of Istio by the last part of their key.
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
            "mesh" => {
                let mesh = Mesh::ALL.into_iter().find(|mesh| mesh.to_string() == value);
                if let Some(marks) = mesh.and_then(Mesh::marks) {
                    marks.proxy.clone_into(&mut proxy.name);
                }
            }
            "runAsUser" => proxy.run_as_user = value.parse().ok(),
            "runAsGroup" => proxy.run_as_group = value.parse().ok(),
            "addresses" => {
                let addresses = value.split(',').filter_map(|ip| ip.parse::<IpAddr>().ok());
                facts.addresses.extend(addresses);
            }
            _ if OTHER_ANNOTATIONS.iter().any(|start| key.starts_with(start)) => {
                facts.annotations.insert(key.to_owned(), value.to_owned());
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
    let injected = [
        ("sidecar.istio.io/status", "{}"),
        ("kuma.io/sidecar-injected", "true"),
    ];
    let injected = injected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    facts.annotations.extend(injected);
    facts.name_servers = NameServers::Cluster(Vec::new());
    facts.namespace_annotations = Some(BTreeMap::new());
    let application = ContainerFacts {
        name: "cart".to_owned(),
        ..ContainerFacts::default()
    };
    facts.containers = vec![application, proxy];
    facts
}

/// The rules are the same after each back end and its reader.
fn check(rules: &RuleSet, mesh: Mesh) {
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
        assert_eq!(drift(rules, &read, ownership(mesh)), None, "{saved}");
    }
    assert_eq!(
        only_ours(rules, ownership(mesh)).rule_count(),
        rules.rule_count()
    );
}
