//! The names of our own tables.

use mesh_cni_netfilter::ruleset::{Family, TableName};

use crate::object::Table;

/// The prefix of our tables' names.
const PREFIX: &str = "mesh-cni-";

/// Our table for one of iptables.
pub(super) fn table(family: Family, name: TableName) -> Table {
    Table::new(family, format!("{PREFIX}{name}"))
}

/// Whether a table is one of ours.
pub fn is_ours(table: &Table) -> bool {
    table
        .name
        .strip_prefix(PREFIX)
        .is_some_and(|name| TableName::from_name(name).is_some())
}
