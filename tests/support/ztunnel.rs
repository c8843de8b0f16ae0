//! ztunnel, and the agent's side of its protocol over a real socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
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

use crate::{Process, must, ztunnel};

const DEADLINE: Duration = Duration::from_secs(20);

/// The port on which a ztunnel listens for other ztunnels.
const TUNNEL: u16 = 15008;

/// A pod that ztunnel looks up by name.
#[derive(Clone, Debug)]
pub struct ZtunnelPod<'pod> {
    /// Its namespace.
    pub namespace: &'pod str,
    /// Its name.
    pub name: &'pod str,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Starts a ztunnel that connects to that socket, in a network namespace of its own, and knows these pods. With
/// `is_strict`, it refuses plaintext.
///
/// Each variable is one of ztunnel. The substitute reads those that it needs.
pub fn start_ztunnel(socket: &Path, is_strict: bool, pods: &[ZtunnelPod<'_>]) -> Process {
    let configuration = socket.with_extension("yaml");
    fs::write(&configuration, local_xds(is_strict, pods)).expect("the directory can be written");
    let mut command = Command::new(ztunnel());
    command
        .env("INPOD_UDS", socket)
        .env("LOCAL_XDS_PATH", configuration)
        .env("STRICT", is_strict.to_string())
        .envs([
            ("PROXY_MODE", "shared"),
            ("XDS_ADDRESS", ""),
            ("FAKE_CA", "true"),
            ("NODE_NAME", "node-1"),
            ("CONNECTION_TERMINATION_DEADLINE", "1s"),
            // The answer to an unreadable message has a stack trace.
            ("RUST_BACKTRACE", "1"),
        ]);
    // Its ports for the administrator are fixed.
    let own = NetNs::scratch().expect("this test needs root: run `make test`");
    must(&own, "ip link set lo up");
    let log = socket.with_extension("log");
    let started = own.run(|| Process::start(&command, &log));
    started.expect("the namespace can be entered")
}

/// What istiod would send, in the YAML of ztunnel's `LOCAL_XDS_PATH`.
fn local_xds(is_strict: bool, pods: &[ZtunnelPod<'_>]) -> String {
    let mut text = "workloads:\n".to_owned();
    for pod in pods {
        let ZtunnelPod {
            namespace,
            name,
            addresses,
        } = pod;
        let addresses: Vec<_> = addresses.iter().map(|it| format!("\"{it}\"")).collect();
        let addresses = addresses.join(", ");
        let written = writeln!(
            text,
            "- {{uid: cluster1//Pod/{namespace}/{name}, name: {name}, namespace: {namespace}, \
             serviceAccount: default, trustDomain: cluster.local, workloadIps: [{addresses}], \
             protocol: HBONE, node: node-1, network: \"\", services: {{}}}}"
        );
        written.expect("a string can be written");
    }
    if is_strict {
        // Plaintext has no principal.
        text += "policies:\n- {name: strict, namespace: istio-system, scope: Global, action: Allow, \
                 dryRun: false, rules: [[[{principals: [!Prefix cluster.local/]}]]]}\n";
    }
    text
}

/// The inodes of the sockets on which ztunnels listen for other ztunnels in the namespace. Empty if none
/// serves it; others if another ztunnel serves it, or the same one again.
pub fn ztunnel_listeners(netns: &NetNs) -> BTreeSet<u64> {
    const LISTENING: &str = "0A";
    let read =
        || ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/thread-self/net/{name}")));
    let tables = netns.run(read).expect("the namespace can be entered");
    let port = format!(":{TUNNEL:04X}");
    let mut found = BTreeSet::new();
    for table in tables {
        let table = table.expect("the table of sockets can be read");
        for line in table.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[1].ends_with(&port) && fields[3] == LISTENING {
                found.insert(fields[9].parse().expect("an inode is a number"));
            }
        }
    }
    found
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
