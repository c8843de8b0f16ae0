//! An object that the kernel lists twice means that the dump was taken during a commit.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Chain, Dump, Element, Rule, Set, SetKind, Table};

fn table() -> Table {
    Table::new(Family::V4, "mesh-cni-nat")
}

fn other_table() -> Table {
    Table::new(Family::V6, "mesh-cni-nat")
}

fn chain(name: &str) -> Chain {
    Chain {
        id: table().chain(name),
        hook: None,
        policy: None,
    }
}

fn rule(handle: u64) -> Rule {
    Rule {
        chain: table().chain("output"),
        handle,
        expressions: Vec::new(),
        comment: None,
    }
}

fn element(port: u8, interval_end: bool) -> Element {
    Element {
        key: vec![0, port],
        interval_end,
        counter: None,
        place: None,
        comment: None,
    }
}

fn set(table: Table, name: &str) -> Set {
    Set {
        table,
        name: name.to_owned(),
        anonymous: true,
        id: 0,
        kind: SetKind::PORT,
        interval: true,
        counting: false,
        elements: vec![element(80, false), element(80, true), element(81, false)],
    }
}

/// Equal names in another table, and a range that starts where another ends.
fn complete() -> Dump {
    Dump {
        tables: vec![table(), other_table()],
        chains: vec![chain("output"), chain("input")],
        rules: vec![rule(1), rule(2)],
        sets: vec![
            set(table(), "__set0"),
            set(table(), "__set1"),
            set(other_table(), "__set0"),
        ],
    }
}

#[test]
fn different_objects_are_no_repetition() {
    assert!(!complete().has_repeated_objects());
    assert!(!Dump::default().has_repeated_objects());
}

#[test]
fn every_kind_of_object_is_found_if_it_is_listed_twice() {
    type Repeat = fn(&mut Dump);
    let repetitions: [(&str, Repeat); 5] = [
        ("table", |dump| dump.tables.push(table())),
        ("chain", |dump| dump.chains.push(chain("input"))),
        ("rule", |dump| dump.rules.push(rule(1))),
        ("set", |dump| dump.sets.push(set(table(), "__set1"))),
        ("element", |dump| {
            dump.sets[2].elements.push(element(80, true));
        }),
    ];
    for (kind, repeat) in repetitions {
        let mut dump = complete();
        repeat(&mut dump);
        assert!(dump.has_repeated_objects(), "{kind}");
    }
}
