//! The table that gives connections of the node a source address.

use std::net::IpAddr;

use mesh_cni_nftables::source::{OwnedAddress, SourceTable};
use mesh_cni_nftables::{Batch, Change, Dump, answers};

use crate::snapshots::{snapshot, text};

fn table(source: &str) -> SourceTable {
    SourceTable::new("probes", "pods", source.parse().unwrap())
}

fn owned(address: &str, owner: &str) -> OwnedAddress {
    OwnedAddress {
        address: address.parse::<IpAddr>().unwrap(),
        owner: owner.to_owned(),
    }
}

/// The dump of a kernel that carried the changes out.
fn dump_of(changes: &[Change]) -> Dump {
    let batch = Batch::new(changes).encode();
    let mut dump = Dump::default();
    for answer in answers(batch.bytes()) {
        dump.take(answer.unwrap().content);
    }
    dump
}

/// The same with these addresses in the set.
fn with_addresses(table: &SourceTable, addresses: &[OwnedAddress]) -> Dump {
    let mut dump = dump_of(&table.ensure(&Dump::default()));
    for change in table.add(&[], addresses) {
        let Change::AddElements { elements, .. } = change else {
            continue;
        };
        dump.sets[0].elements.extend(elements);
    }
    dump
}

#[test]
fn the_table_of_each_family() {
    let created = |source| text(&table(source).ensure(&Dump::default()));
    snapshot!(
        "source.v4",
        "The host table for probes, IPv4.",
        created("169.254.7.127")
    );
    snapshot!(
        "source.v6",
        "The host table for probes, IPv6.",
        created("fd16:9254:7127:1337:ffff:ffff:ffff:ffff")
    );
}

#[test]
fn a_complete_table_is_not_changed() {
    for source in ["169.254.7.127", "fd16::1"] {
        let table = table(source);
        let dump = dump_of(&table.ensure(&Dump::default()));
        assert_eq!(table.ensure(&dump), [], "{source}");
    }
}

#[test]
fn a_table_that_differs_is_replaced_with_its_addresses() {
    let wanted = table("169.254.7.127");
    let entries = [owned("10.0.0.5", "uid-1"), owned("10.0.0.6", "uid-2")];
    let complete = with_addresses(&wanted, &entries);
    let mut cases = vec![with_addresses(&table("169.254.7.128"), &entries)];
    for change in [
        |dump: &mut Dump| dump.rules.clear(),
        |dump: &mut Dump| dump.rules.push(dump.rules[0].clone()),
        |dump: &mut Dump| dump.chains[0].hook.as_mut().unwrap().priority = 100,
        |dump: &mut Dump| dump.sets[0].interval = true,
    ] {
        let mut dump = complete.clone();
        change(&mut dump);
        cases.push(dump);
    }
    for dump in cases {
        let changes = wanted.ensure(&dump);
        assert_eq!(changes[0], Change::DeleteTable(wanted.table.clone()));
        let sets = changes.iter().filter_map(|change| match change {
            Change::AddSet(set) => Some(set.elements.len()),
            _ => None,
        });
        assert_eq!(sets.collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn an_address_has_the_last_owner() {
    let table = table("169.254.7.127");
    let found = [owned("10.0.0.5", "uid-1"), owned("10.0.0.6", "uid-2")];
    assert_eq!(table.add(&found, &found), []);
    let changes = table.add(
        &found,
        &[owned("10.0.0.5", "uid-3"), owned("fd00::5", "uid-3")],
    );
    insta::assert_snapshot!(text(&changes), @r#"
    delete from set ip probes pods
      element 10.0.0.5 comment "uid-1"
    add to set ip probes pods
      element 10.0.0.5 comment "uid-3"
    "#);
}
