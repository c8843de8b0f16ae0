//! Bytes instead of the kernel's answers: decoded or refused, and decoded rules can be compared,
//! replaced and removed.

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::{drift, only_ours, render};
use mesh_cni_nftables::expression::Expression;
use mesh_cni_nftables::{Batch, Change, Dump, answers, compat, native};
use mesh_cni_rules::istio::OWNERSHIP;

/// A netlink message has a head of 16 bytes.
const LEAST_MESSAGE_BYTES: usize = 16;

pub(crate) fn run(datagram: &[u8]) {
    let mut dump = Dump::default();
    let mut messages = 0;
    for answer in answers(datagram).filter_map(Result::ok) {
        messages += 1;
        dump.take(answer.content);
    }
    assert!(messages <= datagram.len() / LEAST_MESSAGE_BYTES);
    for family in Family::ALL {
        let installed = compat::read(&dump, family);
        let nothing = RuleSet::new(family);
        // The calls that verify, CHECK, ADD and DEL make.
        for rules in [&installed.rules, &native::read(&dump, family)] {
            let _difference = drift(&nothing, rules, &OWNERSHIP);
            assert_eq!(drift(rules, rules, &OWNERSHIP), None);
            let ours = only_ours(rules, &OWNERSHIP);
            assert!(ours.rule_count() <= rules.rule_count());
            let _text = render::restore(&ours);
        }
        // A dump with a chain twice is repeated.
        assert!(dump.has_repeated_objects() || installed.rules.rule_count() <= messages);
        let mut changes = compat::remove(&installed, &OWNERSHIP);
        changes.extend(native::remove(&dump, family));
        if let Ok(replacement) = compat::replace(&installed.rules, &installed, &OWNERSHIP) {
            changes.extend(replacement);
        }
        for change in &changes {
            let _summary = change.summary();
        }
        let _bytes = Batch::new(&changes).encode();
    }
}

/// A batch as the kernel returns it: sets have names where the batch uses their ids.
pub(crate) fn dumped(mut changes: Vec<Change>) -> Dump {
    let name = |id: u32| format!("__set{id}");
    for change in &mut changes {
        match change {
            Change::AddSet(set) => set.name = name(set.id),
            Change::AppendRule(rule) => {
                for expression in &mut rule.expressions {
                    if let Expression::Lookup { set, set_id, .. } = expression {
                        *set = name(*set_id);
                    }
                }
            }
            _ => {}
        }
    }
    let batch = Batch::new(&changes).encode();
    let mut dump = Dump::default();
    for answer in answers(batch.bytes()).filter_map(Result::ok) {
        dump.take(answer.content);
    }
    dump
}
