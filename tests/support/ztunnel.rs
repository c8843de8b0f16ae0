//! ztunnel, and the agent's side of its protocol over a real socket.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_agent_api::SeqPacket;
use mesh_cni_netns::NetNs;
use mesh_cni_zds::{ConnectionId, MAX_ACK, Output, Phase, Workload, Ztunnels};

use crate::{Process, ztunnel};

const DEADLINE: Duration = Duration::from_secs(20);

/// Starts a ztunnel that connects to that socket.
pub fn start_ztunnel(socket: &Path, is_strict: bool) -> Process {
    let mut command = Command::new(ztunnel());
    command.env("INPOD_UDS", socket);
    command.env("STRICT", is_strict.to_string());
    Process::start(&command, &socket.with_extension("log"))
}

/// The part of a node agent that serves pods to ztunnels. It works only while a method is called.
#[derive(Debug)]
pub struct ZtunnelServer {
    ztunnels: Ztunnels<Arc<NetNs>>,
    sockets: BTreeMap<ConnectionId, Arc<SeqPacket>>,
    events: Receiver<Event>,
    /// For the threads that read.
    sender: Sender<Event>,
    refusals: Vec<String>,
}

#[derive(Debug)]
enum Event {
    Connected(SeqPacket),
    Received(ConnectionId, Vec<u8>),
    Ended(ConnectionId),
}

impl ZtunnelServer {
    /// Listens at that path.
    pub fn listen(path: &Path) -> Self {
        let listener = SeqPacket::listen(path).expect("the path is free");
        let (sender, events) = channel();
        let connected = sender.clone();
        thread::spawn(move || {
            while let Ok(socket) = listener.accept()
                && connected.send(Event::Connected(socket)).is_ok()
            {}
        });
        Self {
            ztunnels: Ztunnels::new(),
            sockets: BTreeMap::new(),
            events,
            sender,
            refusals: Vec::new(),
        }
    }

    /// Serves the pod with that UID, which is its name too.
    pub fn serve(&mut self, uid: &str, netns: &NetNs) {
        let opened = NetNs::open(netns.path()).expect("the namespace exists");
        let workload = Workload {
            name: uid.to_owned(),
            namespace: "shop".to_owned(),
            service_account: "default".to_owned(),
        };
        let served = self.ztunnels.serve(uid, workload, Some(Arc::new(opened)));
        served.expect("a short name");
    }

    /// Stops serving the pod.
    pub fn forget(&mut self, uid: &str) {
        self.ztunnels.forget(uid);
    }

    /// The pods that ztunnels refused, with the reasons.
    pub fn refusals(&self) -> &[String] {
        &self.refusals
    }

    /// Waits until this number of ztunnels has received its snapshot.
    pub fn wait_for_ztunnels(&mut self, count: usize) {
        self.wait_until(&format!("{count} ztunnels"), |ztunnels| {
            let phases: Vec<_> = ztunnels.connections().collect();
            phases.len() == count && phases.iter().all(|(_, phase)| *phase == Phase::Live)
        });
    }

    /// Waits until the newest ztunnel has answered about the pod, and returns whether it serves it.
    pub fn wait_for_answer(&mut self, uid: &str) -> bool {
        use mesh_cni_zds::Service::{Refused, Served};
        let answered =
            |ztunnels: &Ztunnels<_>| matches!(ztunnels.service(uid), Some(Served | Refused(_)));
        self.wait_until(uid, answered);
        self.ztunnels.service(uid) == Some(Served)
    }

    /// Waits until every ztunnel has deleted the pod.
    pub fn wait_until_deleted(&mut self, uid: &str) {
        self.wait_until(uid, |ztunnels| !ztunnels.is_known(uid));
    }

    fn wait_until(&mut self, what: &str, is_done: impl Fn(&Ztunnels<Arc<NetNs>>) -> bool) {
        let end = Instant::now() + DEADLINE;
        loop {
            self.send();
            if is_done(&self.ztunnels) {
                return;
            }
            let next = self.ztunnels.deadline().map_or(end, |next| next.min(end));
            let left = next.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => {
                    self.ztunnels.expire(Instant::now());
                }
                Err(error) => panic!("{what}: {error}: {:?}", self.refusals),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Connected(socket) => {
                let connected = self.ztunnels.connect(Instant::now());
                let id = connected.expect("few ztunnels connect");
                let socket = Arc::new(socket);
                self.sockets.insert(id, Arc::clone(&socket));
                let sender = self.sender.clone();
                thread::spawn(move || {
                    while let Ok(Some(datagram)) = socket.receive(MAX_ACK) {
                        drop(sender.send(Event::Received(id, datagram.bytes)));
                    }
                    drop(sender.send(Event::Ended(id)));
                });
            }
            Event::Received(id, bytes) => self.ztunnels.receive(id, &bytes),
            Event::Ended(id) => {
                self.sockets.remove(&id);
                self.ztunnels.disconnect(id);
            }
        }
    }

    fn send(&mut self) {
        while let Some(output) = self.ztunnels.output(Instant::now()) {
            match output {
                Output::Send {
                    to,
                    datagram,
                    netns,
                } => {
                    let descriptors = netns.iter().map(|netns| netns.as_fd());
                    let descriptors: Vec<_> = descriptors.collect();
                    let sent = self.sockets[&to].send(&datagram, &descriptors);
                    if sent.is_err() {
                        self.ztunnels.disconnect(to);
                    }
                }
                Output::Close { connection, .. } => {
                    self.sockets.remove(&connection);
                }
                Output::Refused { uid, error, .. } => {
                    self.refusals.push(format!("{uid}: {error}"));
                }
            }
        }
    }
}
