//! Where iptables keeps its tables and chains in `nf_tables`: names, hooks, priorities.

use mesh_cni_netfilter::ruleset::{BuiltinChain, ChainName, Family, TableName};

use crate::object::{Chain, ChainId, ChainType, Hook, Table};

/// The table, under iptables' own name.
pub(crate) fn table(family: Family, name: TableName) -> Table {
    Table::new(family, name.as_str())
}

/// A chain as it has to be made: one of the kernel's own gets its hook.
///
/// No policy is given, so that one that stands keeps its own.
pub(crate) fn chain(family: Family, table_name: TableName, name: &ChainName) -> Chain {
    let id: ChainId = table(family, table_name).chain(name.as_str());
    let hook = name.builtin().map(|at| hook(table_name, at));
    Chain {
        id,
        hook,
        policy: None,
    }
}

/// The hook of a built-in chain: `NF_IP_PRI_*` of `linux/netfilter_ipv4.h`.
pub(crate) fn hook(table: TableName, at: BuiltinChain) -> Hook {
    let destination = matches!(at, BuiltinChain::Prerouting | BuiltinChain::Output);
    let (kind, priority) = match table {
        TableName::Raw => (ChainType::Filter, -300),
        // Marks that are set here choose the route.
        TableName::Mangle if at == BuiltinChain::Output => (ChainType::Route, -150),
        TableName::Mangle => (ChainType::Filter, -150),
        TableName::Nat if destination => (ChainType::Nat, -100),
        TableName::Nat => (ChainType::Nat, 100),
        TableName::Filter => (ChainType::Filter, 0),
    };
    Hook { kind, at, priority }
}
