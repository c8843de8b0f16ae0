//! What is written is read as the same rules: rule set, changes, bytes, and back.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_nftables::expression::Expression;
use mesh_cni_nftables::{Batch, Change, Content, Dump, answers, compat, native};
use mesh_cni_rules::{Dialect, OWNERSHIP, compile};
use proptest::prelude::*;

use crate::settings::{any_interception, documented};

/// What a kernel would tell that had carried the batch out: the objects of the messages, sets
/// under the names that it gives them, base chains with a policy.
fn told(changes: &[Change]) -> Dump {
    let batch = Batch::new(changes).encode();
    let mut dump = Dump::default();
    let name = |id: u32| format!("__set{id}");
    let mut last = String::new();
    for answer in answers(batch.bytes()) {
        let mut content = answer.unwrap().content;
        match &mut content {
            Content::Set(set) => {
                set.name = name(set.id);
                last.clone_from(&set.name);
            }
            Content::Elements { set, .. } => set.clone_from(&last),
            _ => {}
        }
        dump.take(content);
    }
    let expressions = dump.rules.iter_mut().flat_map(|rule| &mut rule.expressions);
    for expression in expressions {
        if let Expression::Lookup { set, set_id, .. } = expression {
            *set = name(*set_id);
        }
    }
    dump
}

/// The rules alone: what of the kernel's own chains stands without rules does not matter.
fn rules_of(rules: &RuleSet) -> Vec<String> {
    let chains = rules.tables.iter().flat_map(|table| {
        let chains = table.chains.iter();
        chains.map(move |chain| (table.name, chain))
    });
    let specs = chains.flat_map(|(table, chain)| {
        let rules = chain.rules.iter();
        rules.map(move |rule| {
            let spec =
                mesh_cni_netfilter::render::rule_spec(&mesh_cni_netfilter::ruleset::Rule::new(
                    rule.sorted_matches()
                        .into_iter()
                        .cloned()
                        .collect::<Vec<_>>(),
                    rule.target.clone(),
                ));
            format!("{table} {} {spec}", chain.name)
        })
    });
    let mut specs: Vec<_> = specs.collect();
    specs.sort();
    specs
}

fn without_routing(mut rules: RuleSet) -> RuleSet {
    rules.routing = None;
    rules
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_of_writing_are_read_as_they_were_meant(interception in any_interception()) {
        for dialect in [Dialect::Asm, Dialect::Istio] {
            for family in Family::ALL {
                let wanted = without_routing(compile(&interception, dialect, family));
                let compat = told(&compat::create(&wanted).unwrap());
                let read = compat::read(&compat, family).rules;
                prop_assert_eq!(rules_of(&read), rules_of(&wanted));
                prop_assert_eq!(drift(&wanted, &read, &OWNERSHIP), None);

                let native = told(&native::create(&wanted).unwrap());
                let read = native::read(&native, family);
                prop_assert_eq!(rules_of(&read), rules_of(&wanted));
                prop_assert_eq!(drift(&wanted, &read, &OWNERSHIP), None);
            }
        }
    }

    #[test]
    fn no_rule_costs_more_for_a_longer_list(ports in prop::collection::btree_set(1_u16.., 2..300)) {
        let list: Vec<_> = ports.iter().map(u16::to_string).collect();
        let key = "traffic.sidecar.istio.io/excludeOutboundPorts";
        let interception = crate::settings::interception(&[(key, list.join(","))], &[]);
        for dialect in [Dialect::Asm, Dialect::Istio] {
            let rules = compile(&interception, dialect, Family::V4);
            let changes = native::create(&rules).unwrap();
            let rules = changes.iter().filter(|change| matches!(change, Change::AppendRule(_)));
            prop_assert!(rules.count() < 25);
        }
    }
}

#[test]
fn the_order_of_the_document_is_kept() {
    let wanted = compile(&documented(), Dialect::Asm, Family::V4);
    let read = native::read(&told(&native::create(&wanted).unwrap()), Family::V4);
    for table in &wanted.tables {
        for chain in &table.chains {
            let found = read.chain(table.name, &chain.name).unwrap();
            let mut pairs = chain.rules.iter().zip(&found.rules);
            assert!(pairs.all(|(wanted, found)| wanted.is_equivalent(found)));
        }
    }
}

#[test]
fn replacing_leaves_what_is_wanted_and_removing_leaves_nothing_of_ours() {
    let wanted = compile(&documented(), Dialect::Asm, Family::V4);
    let standing = compat::read(&told(&compat::create(&wanted).unwrap()), Family::V4);
    assert_eq!(compat::replace(&wanted, &standing, &OWNERSHIP).unwrap(), []);
    let removal = compat::remove(&standing, &OWNERSHIP);
    let deleted = |change: &&Change| matches!(change, Change::DeleteChain(_));
    assert_eq!(removal.iter().filter(deleted).count(), 4);
}
