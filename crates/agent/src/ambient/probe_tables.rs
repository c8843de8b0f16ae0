//! Host rules for probes that remain from an agent with ambient mode, when this one is without it.

use std::sync::Arc;

use mesh_cni_netns::{
    NfTablesError, SourceTable, remove_source_addresses, remove_source_table, source_addresses,
};
use mesh_cni_rules::ambient::{PROBE_SOURCE_V4, PROBE_SOURCE_V6};
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tracing::{debug, info};

use super::ROUND;
use super::kernel::{SET, TABLE};
use crate::error_chain;
use crate::http::routes::Agent;
use crate::readiness::Check;

/// Removes the addresses of pods that have ended, and each table when it has no address any more. Probes of
/// pods that still run may need the others.
pub(crate) async fn remove_unused(agent: Arc<Agent>) {
    agent.readiness.wait_for(Check::Watch).await;
    let mut round = interval(ROUND);
    loop {
        round.tick().await;
        let store = Arc::clone(&agent.store);
        let is_running = move |uid: &str| store.by_uid(uid).is_some();
        match spawn_blocking(move || remove(is_running)).await {
            Ok(Ok(0)) => return,
            Ok(Ok(left)) => {
                debug!("ambient: {left} addresses of pods remain in the set for probes");
            }
            // An agent without CAP_NET_ADMIN can neither see nor remove them.
            Ok(Err(error)) => {
                return debug!("ambient: host rules for probes: {}", error_chain(&error));
            }
            Err(error) => return debug!("ambient: host rules for probes: {error}"),
        }
    }
}

/// Returns how many addresses remain.
fn remove(is_running: impl Fn(&str) -> bool) -> Result<usize, NfTablesError> {
    let mut left = 0;
    for source in [PROBE_SOURCE_V4.into(), PROBE_SOURCE_V6.into()] {
        let table = SourceTable::new(TABLE, SET, source);
        remove_source_addresses(&table, |address| !is_running(&address.owner))?;
        let remaining = source_addresses(&table)?.len();
        if remaining == 0 && remove_source_table(&table)? {
            info!("ambient: the unused host rules for probes are removed");
        }
        left += remaining;
    }
    Ok(left)
}
