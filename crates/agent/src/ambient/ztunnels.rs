//! The socket to which ztunnels connect, and their connections.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use mesh_cni_netns::NetNs;
use mesh_cni_zds::{ConnectionId, MAX_ACK, Output, Phase, Ztunnels};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::listener::{Connection, Listener};
use super::problem::Problem;
use super::step::{Proxy, Step};

/// What happens on the socket.
pub(crate) enum ZtunnelEvent {
    /// A ztunnel has connected.
    Connected(Connection),
    /// It has sent a datagram.
    Received(ConnectionId, Vec<u8>),
    /// Its connection has ended.
    Ended(ConnectionId),
}

/// The pods that ztunnels serve, and the sockets of the ztunnels.
pub(crate) struct ZtunnelConnections {
    pub(crate) pods: Ztunnels<Arc<NetNs>>,
    sockets: BTreeMap<ConnectionId, (Arc<Connection>, AbortHandle)>,
    events: mpsc::Sender<ZtunnelEvent>,
}

/// Passes connections on, until it is dropped.
pub(crate) async fn accept(listener: Arc<Listener>, events: mpsc::Sender<ZtunnelEvent>) {
    loop {
        match listener.accept().await {
            Ok(connection) => drop(events.send(ZtunnelEvent::Connected(connection)).await),
            Err(error) => {
                warn!("ambient: ztunnel cannot connect: {error}");
                tokio::time::sleep(super::PAUSE).await;
            }
        }
    }
}

impl ZtunnelConnections {
    pub(crate) fn new(events: mpsc::Sender<ZtunnelEvent>) -> Self {
        Self {
            pods: Ztunnels::new(),
            sockets: BTreeMap::new(),
            events,
        }
    }

    pub(crate) fn events(&self) -> mpsc::Sender<ZtunnelEvent> {
        self.events.clone()
    }

    /// Why a pod is not enrolled yet.
    pub(super) fn delay(&self, uid: &str, running: Option<Step>) -> Problem {
        use mesh_cni_zds::Service;
        let ztunnel = "check the ztunnel pod of the node and its log";
        let (why, remedy) = match (self.pods.service(uid), running) {
            (_, Some(step)) => (
                format!("the step {step:?} takes too long"),
                "see the log of the mesh-cni pod of the node",
            ),
            (Some(Service::NoZtunnel), None) => {
                ("no ztunnel is connected to the agent".to_owned(), ztunnel)
            }
            (Some(Service::Refused(why)), None) => (format!("ztunnel: {why}"), ztunnel),
            (_, None) => ("ztunnel does not answer".to_owned(), ztunnel),
        };
        Problem { why, remedy }
    }

    /// How many ztunnels have received every pod.
    pub(super) fn live(&self) -> usize {
        let phases = self.pods.connections().map(|(_, phase)| phase);
        phases.filter(|phase| *phase == Phase::Live).count()
    }

    pub(crate) fn handle(&mut self, event: ZtunnelEvent) {
        match event {
            ZtunnelEvent::Connected(connection) => self.connect(connection),
            ZtunnelEvent::Received(id, datagram) => self.pods.receive(id, &datagram),
            ZtunnelEvent::Ended(id) => {
                if self.close(id) {
                    info!(connection = %id, "ambient: a ztunnel has disconnected");
                }
                self.pods.disconnect(id);
            }
        }
    }

    fn connect(&mut self, connection: Connection) {
        let id = match self.pods.connect(Instant::now()) {
            Ok(id) => id,
            Err(error) => return warn!("ambient: a ztunnel is refused: {error}"),
        };
        info!(connection = %id, "ambient: a ztunnel has connected");
        let connection = Arc::new(connection);
        let reading = read(id, Arc::clone(&connection), self.events.clone());
        let reading = tokio::spawn(reading).abort_handle();
        self.sockets.insert(id, (connection, reading));
    }

    /// Sends what has to be sent. Returns the pods that were refused, with the reasons.
    pub(crate) fn send(&mut self) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        while let Some(output) = self.pods.output(Instant::now()) {
            match output {
                Output::Send {
                    to,
                    datagram,
                    netns,
                } => {
                    let descriptors: Vec<_> = netns.iter().map(|netns| netns.as_fd()).collect();
                    let socket = self.sockets.get(&to);
                    let sent = socket.map(|(socket, _)| socket.send(&datagram, &descriptors));
                    if !matches!(sent, Some(Ok(()))) {
                        warn!(connection = %to, "ambient: a request cannot be sent to ztunnel");
                        self.close(to);
                        self.pods.disconnect(to);
                    }
                }
                Output::Close { connection, error } => {
                    warn!(%connection, "ambient: a connection is closed: {}", crate::error_chain(&error));
                    self.close(connection);
                }
                Output::Refused { by, uid, error } => {
                    warn!(connection = %by, pod_uid = uid, "ambient: ztunnel cannot serve a pod: {error}");
                    refused.push((uid, error));
                }
            }
        }
        refused
    }

    /// What ztunnels know about the pod.
    pub(crate) fn proxy(&self, uid: &str, is_asked_to_serve: bool) -> Proxy {
        use mesh_cni_zds::Service;
        match self.pods.service(uid) {
            None if self.pods.is_known(uid) => Proxy::Leaving,
            None => Proxy::Unknown,
            Some(_) if !is_asked_to_serve => Proxy::Kept,
            Some(Service::Served) => Proxy::Served,
            Some(Service::Refused(_)) => Proxy::Refused,
            Some(Service::NoZtunnel | Service::Pending | Service::Kept) => Proxy::Awaited,
        }
    }

    fn close(&mut self, id: ConnectionId) -> bool {
        let removed = self.sockets.remove(&id);
        if let Some((_, reading)) = &removed {
            reading.abort();
        }
        removed.is_some()
    }
}

async fn read(id: ConnectionId, connection: Arc<Connection>, events: mpsc::Sender<ZtunnelEvent>) {
    while let Ok(Some(datagram)) = connection.receive(MAX_ACK).await {
        let event = ZtunnelEvent::Received(id, datagram.bytes);
        if events.send(event).await.is_err() {
            return;
        }
    }
    drop(events.send(ZtunnelEvent::Ended(id)).await);
}
