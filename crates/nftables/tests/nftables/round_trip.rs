//! Encoded rules are decoded as the same rules: rule set, changes, bytes, and back.

use mesh_cni_netfilter::render::rule_spec;
use mesh_cni_netfilter::ruleset::{
    BuiltinChain, ChainName, Family, Mark, Rule, RuleSet, TableName, Target,
};
use mesh_cni_netfilter::{drift, parse};
use mesh_cni_nftables::expression::Expression;
use mesh_cni_nftables::{Batch, Change, Content, Dump, answers, compat, native};
use mesh_cni_rules::istio::{Dialect, OWNERSHIP, compile};
use mesh_cni_rules::reject_ipv6;
use proptest::prelude::*;

use crate::settings::{any_interception, documented};

/// The dump of a kernel that carried the changes out: the objects of the messages, with the names
/// that the kernel gives to sets.
fn dump_of(changes: &[Change]) -> Dump {
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

/// The rules in text form; chains without rules do not matter.
fn specs(rules: &RuleSet) -> Vec<String> {
    let mut specs: Vec<_> = rules
        .tables
        .iter()
        .flat_map(|table| table.chains.iter().map(move |chain| (table.name, chain)))
        .flat_map(|(table, chain)| chain.rules.iter().map(move |rule| (table, chain, rule)))
        .map(|(table, chain, rule)| {
            let matches: Vec<_> = rule.sorted_matches().into_iter().cloned().collect();
            let spec = rule_spec(&Rule::new(matches, rule.target.clone()));
            format!("{table} {} {spec}", chain.name)
        })
        .collect();
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
    fn compat_and_native_rules_are_read_as_they_were_written(interception in any_interception()) {
        for dialect in [Dialect::Asm, Dialect::Istio] {
            for family in Family::ALL {
                let wanted = without_routing(compile(&interception, dialect, family));
                let dump = dump_of(&compat::create(&wanted).unwrap());
                let read = compat::read(&dump, family).rules;
                prop_assert_eq!(specs(&read), specs(&wanted));
                prop_assert_eq!(drift(&wanted, &read, &OWNERSHIP), None);

                let dump = dump_of(&native::create(&wanted).unwrap());
                let read = native::read(&dump, family);
                prop_assert_eq!(specs(&read), specs(&wanted));
                prop_assert_eq!(drift(&wanted, &read, &OWNERSHIP), None);
            }
        }
    }

    #[test]
    fn the_number_of_rules_does_not_grow_with_a_list(ports in prop::collection::btree_set(1_u16.., 2..300)) {
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

proptest! {
    #[test]
    fn marks_are_read_as_they_were_written(value: u32, mask in prop_oneof![any::<u32>(), Just(u32::MAX)]) {
        let mark = Mark { value, mask };
        let chain = ChainName::new("ISTIO_OUTPUT").unwrap();
        let mut wanted = RuleSet::new(Family::V4);
        for target in [Target::SetMark(mark), Target::SetConnmark(mark)] {
            wanted.append(TableName::Mangle, chain.clone(), Rule::new([], target));
        }
        let compat = compat::read(&dump_of(&compat::create(&wanted).unwrap()), Family::V4).rules;
        let native = native::read(&dump_of(&native::create(&wanted).unwrap()), Family::V4);
        prop_assert_eq!(specs(&compat), specs(&wanted));
        prop_assert_eq!(specs(&native), specs(&wanted));
    }
}

#[test]
fn rules_that_refuse_ipv6_are_read_as_they_were_written() {
    let wanted = reject_ipv6();
    let compat = compat::read(&dump_of(&compat::create(&wanted).unwrap()), Family::V6).rules;
    let native = native::read(&dump_of(&native::create(&wanted).unwrap()), Family::V6);
    for read in [compat, native] {
        assert_eq!(specs(&read), specs(&wanted));
        assert_eq!(drift(&wanted, &read, &OWNERSHIP), None);
    }
}

#[test]
fn native_rules_keep_the_order_of_the_document() {
    let wanted = compile(&documented(), Dialect::Asm, Family::V4);
    let read = native::read(&dump_of(&native::create(&wanted).unwrap()), Family::V4);
    for table in &wanted.tables {
        for chain in &table.chains {
            let found = read.chain(table.name, &chain.name).unwrap();
            let mut pairs = chain.rules.iter().zip(&found.rules);
            assert!(pairs.all(|(wanted, found)| wanted.is_equivalent(found)));
        }
    }
}

#[test]
fn replacing_equal_rules_changes_nothing_and_removing_deletes_all_of_ours() {
    let wanted = compile(&documented(), Dialect::Asm, Family::V4);
    let installed = compat::read(&dump_of(&compat::create(&wanted).unwrap()), Family::V4);
    assert_eq!(
        compat::replace(&wanted, &installed, &OWNERSHIP).unwrap(),
        []
    );
    let removal = compat::remove(&installed, &OWNERSHIP);
    let deleted = |change: &&Change| matches!(change, Change::DeleteChain(_));
    assert_eq!(removal.iter().filter(deleted).count(), 4);
}

#[test]
fn a_chain_gets_a_hook_if_it_is_builtin_in_its_own_table() {
    for (table, name) in TableName::ALL
        .into_iter()
        .flat_map(|table| BuiltinChain::ALL.map(|name| (table, name)))
    {
        let is_builtin = table.builtin_chains().contains(&name);
        let mut wanted = RuleSet::new(Family::V4);
        wanted.append(table, name.into(), Rule::new([], Target::Return));
        let compat = compat::create(&wanted).unwrap();
        let native = native::create(&wanted).unwrap();
        let over_compat = compat::replace(
            &wanted,
            &compat::read(&Dump::default(), Family::V4),
            &OWNERSHIP,
        );
        for changes in [compat, native, over_compat.unwrap()] {
            let hooks: Vec<_> = changes
                .iter()
                .filter_map(|change| match change {
                    Change::AddChain { chain, .. } => Some(chain.hook.map(|hook| hook.at)),
                    _ => None,
                })
                .collect();
            assert_eq!(hooks, [is_builtin.then_some(name)], "{table} {name:?}");
        }
        let script = native::script(&wanted).unwrap();
        assert_eq!(script.contains(" hook "), is_builtin, "{script}");
    }
}

/// Every word of the rule model but the foreign rules.
fn every_word() -> RuleSet {
    let saved = include_str!("../data/iptables-save.v4.txt");
    let lines: Vec<_> = saved
        .lines()
        .filter(|line| !line.contains("DNAT"))
        .collect();
    parse::save(&(lines.join("\n") + "\n"), Family::V4).unwrap()
}

#[test]
fn every_word_is_read_as_it_was_written() {
    let wanted = every_word();
    let compat = compat::read(&dump_of(&compat::create(&wanted).unwrap()), Family::V4).rules;
    let native = native::read(&dump_of(&native::create(&wanted).unwrap()), Family::V4);
    assert_eq!(specs(&compat), specs(&wanted));
    assert_eq!(specs(&native), specs(&wanted));
}

#[test]
fn what_the_kernel_cannot_hold_is_refused() {
    let rules = |spec: &str| {
        let text = format!("*nat\n:A - [0:0]\n-A A {spec}\nCOMMIT\n");
        parse::save(&text, Family::V4).unwrap()
    };
    let comment = |length| {
        rules(&format!(
            "-m comment --comment {} -j RETURN",
            "c".repeat(length)
        ))
    };
    assert!(native::create(&comment(253)).is_ok());
    assert!(native::create(&comment(254)).is_err());
    assert!(compat::create(&comment(255)).is_ok());
    assert!(compat::create(&comment(256)).is_err());
    assert!(native::script(&comment(128)).is_ok());
    assert!(native::script(&comment(129)).is_err());
    let two = rules("-m comment --comment one -m comment --comment two -j RETURN");
    assert!(native::create(&two).is_err() && compat::create(&two).is_ok());
    let log = |length| rules(&format!("-j LOG --log-prefix {}", "p".repeat(length)));
    assert!(compat::create(&log(29)).is_ok());
    assert!(compat::create(&log(30)).is_err());
    let ports = |list: &str| rules(&format!("-p tcp -m multiport --dports {list} -j RETURN"));
    assert!(compat::create(&ports("1,2,3,4,5,6,7,8,9,10,11,12,13,14:20")).is_ok());
    assert!(compat::create(&ports("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15:20")).is_err());
}
