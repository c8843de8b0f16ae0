//! A source address for connections from the calling thread's namespace to some addresses: created, changed
//! and read over netlink, one transaction for each change.

use mesh_cni_nftables::source::{OwnedAddress, SourceTable};
use mesh_cni_nftables::{Change, Dump, Query};
use nix::errno::Errno;

use crate::nf_tables::{NfTablesError, commit, retry};
use crate::nfnetlink::{Nfnetlink, QueryError};

/// Creates the table, or replaces it if its chain or rule differs. The addresses stay. Returns whether
/// something changed.
pub fn ensure_source_table(table: &SourceTable) -> Result<bool, NfTablesError> {
    retry(None, |netlink| {
        let generation = netlink.generation()?;
        let mut dump = Dump::default();
        netlink.dump(&Query::Tables, &mut dump)?;
        if dump.tables.contains(&table.table) {
            for query in [Query::Chains, Query::Rules, Query::Sets] {
                netlink.dump(&query, &mut dump)?;
            }
            dump.sets.retain(|set| set.table == table.table);
            if dump.sets.iter().any(|set| set.name == table.set) {
                let query = Query::Elements(table.table.clone(), table.set.clone());
                netlink.dump(&query, &mut dump)?;
            }
        }
        let changes = table.ensure(&dump);
        commit(netlink, &changes, generation)?;
        Ok(!changes.is_empty())
    })
}

/// Adds these addresses, or gives them another owner. Those of the other family are ignored.
pub fn add_source_addresses(
    table: &SourceTable,
    wanted: &[OwnedAddress],
) -> Result<(), NfTablesError> {
    change(table, |found| table.add(found, wanted))
}

/// Removes the addresses for which `is_stale` returns true.
pub fn remove_source_addresses(
    table: &SourceTable,
    is_stale: impl Fn(&OwnedAddress) -> bool,
) -> Result<(), NfTablesError> {
    change(table, |found| {
        table.remove(found.iter().filter(|found| is_stale(found)))
    })
}

/// The addresses, with their owners; none if the table does not exist.
pub fn source_addresses(table: &SourceTable) -> Result<Vec<OwnedAddress>, NfTablesError> {
    retry(None, |netlink| addresses(netlink, table))
}

/// Removes the table with its addresses. Returns whether it existed.
pub fn remove_source_table(table: &SourceTable) -> Result<bool, NfTablesError> {
    retry(None, |netlink| {
        let generation = netlink.generation()?;
        let mut dump = Dump::default();
        netlink.dump(&Query::Tables, &mut dump)?;
        let exists = dump.tables.contains(&table.table);
        let changes = Vec::from_iter(exists.then(|| Change::DeleteTable(table.table.clone())));
        commit(netlink, &changes, generation)?;
        Ok(exists)
    })
}

fn change(
    table: &SourceTable,
    changes: impl Fn(&[OwnedAddress]) -> Vec<Change>,
) -> Result<(), NfTablesError> {
    retry(None, |netlink| {
        let generation = netlink.generation()?;
        let found = addresses(netlink, table)?;
        commit(netlink, &changes(&found), generation)
    })
}

fn addresses(
    netlink: &mut Nfnetlink<'_>,
    table: &SourceTable,
) -> Result<Vec<OwnedAddress>, NfTablesError> {
    let mut found = Vec::new();
    let query = Query::Elements(table.table.clone(), table.set.clone());
    match netlink.request(&query, |content| found.extend(table.addresses_in(&content))) {
        Ok(()) => Ok(found),
        Err(QueryError::Refused(refusal)) if refusal.errno == Errno::ENOENT as i32 => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}
