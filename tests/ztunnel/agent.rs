//! The conversation with the node agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::{Datagram, SeqPacket};
use mesh_cni_netns::NetNs;
use mesh_cni_zds::{Ack, DecodeError, Hello, MAX_REQUEST, Request};

use crate::pod::Pod;

/// How soon ztunnel tries again to listen in a pod.
const RETRY: Duration = Duration::from_secs(5);

/// What ended with the conversation.
pub(crate) enum Ended {
    /// ztunnel connects again.
    Connection,
    /// A violation of the protocol.
    Process,
}

/// The pods that are served. They outlive a connection.
pub(crate) struct Pods {
    is_strict: bool,
    served: BTreeMap<String, Pod>,
}

/// What one connection has named.
#[derive(Default)]
struct Snapshot {
    named: BTreeSet<String>,
    is_complete: bool,
    /// Pods in whose namespaces it could not listen.
    pending: BTreeMap<String, Arc<NetNs>>,
}

pub(crate) struct Connection(SeqPacket);

impl Connection {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let socket = SeqPacket::connect(path)?;
        socket.set_timeout(RETRY)?;
        socket.send(&Hello.encode(), &[])?;
        Ok(Self(socket))
    }

    fn answer(&self, result: Result<(), String>) {
        // The agent may have gone; the next read reports it.
        drop(self.0.send(&Ack(result).encode(), &[]));
    }
}

impl Pods {
    pub(crate) fn new(is_strict: bool) -> Self {
        Self {
            is_strict,
            served: BTreeMap::new(),
        }
    }

    /// Does what the agent requests until the connection or the process ends.
    pub(crate) fn follow(&mut self, connection: &Connection) -> Ended {
        let mut snapshot = Snapshot::default();
        loop {
            let datagram = match connection.0.receive(MAX_REQUEST) {
                Ok(Some(datagram)) => datagram,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.retry(&mut snapshot);
                    continue;
                }
                Ok(None) | Err(_) => return Ended::Connection,
            };
            let (request, netns) = match read(&datagram) {
                Ok(read) => read,
                Err(Unreadable::Violation(error)) => {
                    connection.answer(Err(format!("failure to process message : {error}")));
                    return Ended::Process;
                }
                Err(Unreadable::Message(error)) => {
                    // With RUST_BACKTRACE=1, ztunnel's text has a stack trace of that length.
                    let trace = "\n   at frame".repeat(400);
                    connection.answer(Err(format!("failure to read message : {error}{trace}")));
                    return Ended::Connection;
                }
            };
            match self.perform(request, netns, &mut snapshot) {
                Ok(result) => connection.answer(result),
                Err(violation) => {
                    connection.answer(Err(format!("failure to process message : {violation}")));
                    return Ended::Process;
                }
            }
        }
    }

    /// The answer, or a violation of the protocol.
    fn perform(
        &mut self,
        request: Request,
        netns: Option<Arc<NetNs>>,
        snapshot: &mut Snapshot,
    ) -> Result<Result<(), String>, &'static str> {
        match (request, netns) {
            (Request::Add { uid, .. }, Some(netns)) => {
                snapshot.named.insert(uid.clone());
                Ok(self.add(uid, netns, snapshot))
            }
            (Request::Add { .. }, None) => Err("no namespace"),
            (Request::Keep { .. }, _) if snapshot.is_complete => Err("keep after the snapshot"),
            (Request::Keep { uid }, _) => {
                snapshot.named.insert(uid);
                Ok(Ok(()))
            }
            (Request::Delete { uid }, _) => {
                snapshot.named.remove(&uid);
                snapshot.pending.remove(&uid);
                if snapshot.is_complete {
                    self.stop(&uid);
                }
                Ok(Ok(()))
            }
            (Request::SnapshotSent, _) if snapshot.is_complete => Err("a second snapshot"),
            (Request::SnapshotSent, _) => {
                snapshot.is_complete = true;
                let served: Vec<_> = self.served.keys().cloned().collect();
                for uid in served.iter().filter(|uid| !snapshot.named.contains(*uid)) {
                    self.stop(uid);
                }
                Ok(Ok(()))
            }
        }
    }

    fn add(
        &mut self,
        uid: String,
        netns: Arc<NetNs>,
        snapshot: &mut Snapshot,
    ) -> Result<(), String> {
        if self.served.get(&uid).is_some_and(|pod| pod.is_in(&netns)) {
            return Ok(());
        }
        self.stop(&uid);
        match Pod::start(Arc::clone(&netns), self.is_strict) {
            Ok(pod) => {
                println!("served {uid}");
                snapshot.pending.remove(&uid);
                self.served.insert(uid, pod);
                Ok(())
            }
            Err(error) => {
                println!("pending {uid}: {error}");
                snapshot.pending.insert(uid, netns);
                Err(format!("failure to start proxy : {error}"))
            }
        }
    }

    fn retry(&mut self, snapshot: &mut Snapshot) {
        for (uid, netns) in std::mem::take(&mut snapshot.pending) {
            drop(self.add(uid, netns, snapshot));
        }
    }

    fn stop(&mut self, uid: &str) {
        if self.served.remove(uid).is_some() {
            println!("stopped {uid}");
        }
    }
}

enum Unreadable {
    /// ztunnel closes the connection.
    Message(String),
    /// ztunnel exits.
    Violation(DecodeError),
}

fn read(datagram: &Datagram) -> Result<(Request, Option<Arc<NetNs>>), Unreadable> {
    let unreadable = |text: &str| Err(Unreadable::Message(text.to_owned()));
    if datagram.is_truncated {
        return unreadable("truncated");
    }
    let request = Request::decode(&datagram.bytes);
    if request == Err(DecodeError::Missing("workload_info")) && datagram.descriptors.len() == 1 {
        return Err(Unreadable::Violation(DecodeError::Missing("workload_info")));
    }
    let request = request.map_err(|error| Unreadable::Message(error.to_string()))?;
    let is_add = matches!(request, Request::Add { .. });
    match (is_add, datagram.descriptors.as_slice()) {
        (true, [descriptor]) => {
            let file = descriptor.try_clone().map(File::from);
            let file = file.map_err(|error| Unreadable::Message(error.to_string()))?;
            let netns = NetNs::from_file(file);
            let netns = netns.map_err(|error| Unreadable::Message(error.to_string()))?;
            Ok((request, Some(Arc::new(netns))))
        }
        (false, []) => Ok((request, None)),
        (true, _) => unreadable("one file descriptor is required"),
        (false, _) => unreadable("a file descriptor with another message"),
    }
}
