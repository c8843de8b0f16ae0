//! The pods that are served, and the conversations with all ztunnels of the node.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::connection::{Answer, Connection, ConversationError, Phase};
use crate::message::{MAX_REQUEST, Request, Workload};

/// How long a ztunnel may take from connecting to its hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a ztunnel may take to answer a request.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many ztunnels may be connected. An upgrade needs two; a failed one that reconnects, one more.
pub const MAX_CONNECTIONS: usize = 8;

/// A connection of a ztunnel. Later ones are greater.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the caller has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output<N> {
    /// Send the datagram, with the file descriptor of the namespace if there is one.
    Send {
        /// The connection.
        to: ConnectionId,
        /// An encoded [`Request`].
        datagram: Vec<u8>,
        /// The namespace that was given to [`Ztunnels::serve`].
        netns: Option<N>,
    },
    /// Close the connection, which is already forgotten here.
    Close {
        /// The connection.
        connection: ConnectionId,
        /// For the log.
        error: ConversationError,
    },
    /// For the log: a ztunnel could not do what it was asked. It stays connected.
    Refused {
        /// The connection.
        by: ConnectionId,
        /// The pod.
        uid: String,
        /// ztunnel's text: on one line, escaped and cut.
        error: String,
    },
}

/// Whether a pod is served, by the newest ztunnel that has received its snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service<'a> {
    /// No ztunnel has received its snapshot.
    NoZtunnel,
    /// It has not answered yet.
    Pending,
    /// It was asked to keep the pod and has confirmed that. Whether it knew the pod is unknown.
    Kept,
    /// Its listeners in the pod's namespace accept connections.
    Served,
    /// It could not serve the pod, for this reason.
    Refused(&'a str),
}

/// An `Add` of the pod does not fit into ztunnel's buffer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the names of pod, namespace and service account need {length} bytes, more than {MAX_REQUEST}"
)]
pub struct TooLong {
    /// Of the encoded message, in bytes.
    pub length: usize,
}

/// [`MAX_CONNECTIONS`] ztunnels are connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{MAX_CONNECTIONS} ztunnels are already connected")]
pub struct TooManyConnections;

#[derive(Clone, Debug)]
pub(crate) struct Pod<N> {
    pub(crate) workload: Workload,
    pub(crate) netns: Option<N>,
    /// Differs after each change, also of a pod with the same UID that was forgotten between.
    pub(crate) version: u64,
}

/// The agent's side of the protocol.
///
/// `N` is a pod's network namespace. Two values are equal if they are the same namespace, for example
/// by device and inode; a pod with another one is added again.
#[derive(Clone, Debug)]
pub struct Ztunnels<N> {
    pods: BTreeMap<String, Pod<N>>,
    connections: BTreeMap<ConnectionId, Connection>,
    notices: VecDeque<Output<N>>,
    /// Numbers the connections and the versions of pods.
    last: u64,
}

impl<N> Default for Ztunnels<N> {
    fn default() -> Self {
        Self {
            pods: BTreeMap::new(),
            connections: BTreeMap::new(),
            notices: VecDeque::new(),
            last: 0,
        }
    }
}

impl<N: Clone + PartialEq> Ztunnels<N> {
    /// No pods and no connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a pod: every ztunnel receives it unless it knows it with these values. One that refused it
    /// receives it again.
    ///
    /// Without a namespace, ztunnels that already serve the pod are asked to keep it.
    pub fn serve(
        &mut self,
        uid: &str,
        workload: Workload,
        netns: Option<N>,
    ) -> Result<(), TooLong> {
        let request = Request::Add {
            uid: uid.to_owned(),
            workload: workload.clone(),
        };
        let length = request.encode().len();
        if length > MAX_REQUEST {
            return Err(TooLong { length });
        }
        let is_same = |pod: &Pod<N>| (&pod.workload, &pod.netns) == (&workload, &netns);
        if !self.pods.get(uid).is_some_and(is_same) {
            let version = self.number();
            let pod = Pod {
                workload,
                netns,
                version,
            };
            self.pods.insert(uid.to_owned(), pod);
        }
        self.changed(uid);
        Ok(())
    }

    /// Stops serving a pod: every ztunnel that knows it deletes it.
    pub fn forget(&mut self, uid: &str) {
        self.pods.remove(uid);
        self.changed(uid);
    }

    /// A ztunnel has connected.
    pub fn connect(&mut self, now: Instant) -> Result<ConnectionId, TooManyConnections> {
        if self.connections.len() >= MAX_CONNECTIONS {
            return Err(TooManyConnections);
        }
        let id = ConnectionId(self.number());
        self.connections
            .insert(id, Connection::new(now + HELLO_TIMEOUT));
        Ok(id)
    }

    /// A ztunnel has sent a datagram.
    pub fn receive(&mut self, from: ConnectionId, datagram: &[u8]) {
        let Some(connection) = self.connections.get_mut(&from) else {
            return;
        };
        match connection.receive(datagram, self.pods.keys()) {
            Ok(None) => {}
            Ok(Some((uid, error))) => self.notices.push_back(Output::Refused {
                by: from,
                uid,
                error,
            }),
            Err(error) => self.close(from, error),
        }
    }

    /// A connection has ended, or an operation on it has failed.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// When [`expire`](Self::expire) has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.connections
            .values()
            .filter_map(Connection::deadline)
            .min()
    }

    /// Closes the connections whose deadline is over.
    pub fn expire(&mut self, now: Instant) {
        let expired: Vec<_> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| Some((*id, connection.expired(now)?)))
            .collect();
        for (id, error) in expired {
            self.close(id, error);
        }
    }

    /// What the caller has to do next, or nothing until something happens.
    pub fn output(&mut self, now: Instant) -> Option<Output<N>> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        let deadline = now + ANSWER_TIMEOUT;
        self.connections.iter_mut().find_map(|(id, connection)| {
            let (request, netns) = connection.next(&self.pods, deadline)?;
            Some(Output::Send {
                to: *id,
                datagram: request.encode(),
                netns,
            })
        })
    }

    /// Whether the pod is served; nothing if [`serve`](Self::serve) was not called for it.
    pub fn service(&self, uid: &str) -> Option<Service<'_>> {
        let pod = self.pods.get(uid)?;
        let mut newest_first = self.connections.values().rev();
        let Some(newest) = newest_first.find(|connection| connection.phase() == Phase::Live) else {
            return Some(Service::NoZtunnel);
        };
        let known = newest.known(uid);
        let current = known.filter(|known| known.version == pod.version);
        Some(match current.map(|known| &known.answer) {
            None | Some(Answer::Awaited) => Service::Pending,
            Some(Answer::Refused(error)) => Service::Refused(error),
            Some(Answer::Done) if pod.netns.is_none() => Service::Kept,
            Some(Answer::Done) => Service::Served,
        })
    }

    /// Whether a connected ztunnel knows the pod. After [`forget`](Self::forget) it is true until every
    /// ztunnel has confirmed.
    pub fn is_known(&self, uid: &str) -> bool {
        self.connections
            .values()
            .any(|connection| connection.known(uid).is_some())
    }

    /// The connected ztunnels, the oldest first.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, Phase)> {
        self.connections
            .iter()
            .map(|(id, connection)| (*id, connection.phase()))
    }

    fn changed(&mut self, uid: &str) {
        for connection in self.connections.values_mut() {
            connection.changed(uid);
        }
    }

    fn close(&mut self, connection: ConnectionId, error: ConversationError) {
        self.disconnect(connection);
        self.notices.push_back(Output::Close { connection, error });
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
