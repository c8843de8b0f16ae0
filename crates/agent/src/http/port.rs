//! A port: the agent listens on it as soon as it can, and works without it until then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tracing::{info, warn};

use super::limits::Limits;
use super::places::FreePlaces;
use super::routes::{Agent, Listener, Routes};
use super::server;

/// The longest time between two attempts to listen.
const MAX_DELAY: Duration = Duration::from_secs(15);

/// Listens on the address and serves. Any user of the node can take a free port, so a port that is in
/// use is reported as degraded and tried again.
pub(crate) async fn serve(
    address: SocketAddr,
    listener: Listener,
    limits: Limits,
    agent: Arc<Agent>,
) {
    let name = listener.as_str();
    agent.metrics.listening(name, false);
    let mut delay = Duration::from_secs(1);
    let port = loop {
        match TcpListener::bind(address).await {
            Ok(port) => break port,
            Err(error) => {
                let why = format!("port `{name}`: cannot listen on address {address}: {error}");
                if agent.readiness.set_degraded(name, Some(&why)) {
                    warn!("{why}; free the port, or choose another with --{name}-addr");
                }
                sleep(delay).await;
                delay = MAX_DELAY.min(delay * 2);
            }
        }
    };
    agent.readiness.set_degraded(name, None);
    agent.metrics.listening(name, true);
    let address = port.local_addr().unwrap_or(address);
    info!(%address, listener = name, "listening");
    let places = FreePlaces::new(limits.port);
    server::serve(port, places, limits, Routes { listener, agent }).await;
}
