//! The conversation with one ztunnel.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use mesh_cni_text::{escaped, truncated};

use crate::message::{Ack, Hello, Request};
use crate::wire::DecodeError;
use crate::ztunnels::Pod;

/// Longest error of a ztunnel that is kept, in bytes.
const MAX_ERROR: usize = 512;

/// How far the conversation with a ztunnel is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// It has connected and has not said hello.
    Hello,
    /// It receives all pods.
    Snapshot,
    /// It has received all pods, and receives changes.
    Live,
}

/// Why a connection is closed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// No hello within [`HELLO_TIMEOUT`](crate::HELLO_TIMEOUT).
    #[error("ztunnel connected and sent no hello in time")]
    NoHello,
    /// No answer within [`ANSWER_TIMEOUT`](crate::ANSWER_TIMEOUT).
    #[error("ztunnel did not answer in time")]
    NoAnswer,
    /// The first message is not a hello of a known version.
    #[error("the first message is not a hello of ztunnel")]
    Hello(#[source] DecodeError),
    /// The answer cannot be read.
    #[error("the answer of ztunnel cannot be read")]
    Answer(#[source] DecodeError),
    /// A message that answers nothing.
    #[error("ztunnel sent a message without a request")]
    Unexpected,
    /// It does not accept the end of the snapshot.
    #[error("ztunnel refused the snapshot: {0}")]
    SnapshotRefused(String),
}

/// What a ztunnel answered about a pod.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Awaited,
    Done,
    Refused(String),
}

/// What a ztunnel knows about a pod: the last request that it received.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// [`Pod::version`] of that request.
    pub(crate) version: u64,
    pub(crate) answer: Answer,
}

impl Known {
    fn is_accepted(&self, version: u64) -> bool {
        self.version == version && !matches!(self.answer, Answer::Refused(_))
    }
}

/// The request that a ztunnel has not answered.
#[derive(Clone, Debug)]
struct Awaited {
    request: Request,
    deadline: Instant,
}

#[derive(Clone, Debug)]
enum State {
    Hello {
        deadline: Instant,
    },
    /// So many pods of the queue belong to the snapshot. Later ones follow the end of the snapshot, so
    /// that it has one.
    Snapshot {
        left: usize,
    },
    Live,
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    state: State,
    /// UIDs of pods to compare with what this ztunnel knows. What is sent is decided only then, so that
    /// changes that cancel each other send nothing.
    queue: VecDeque<String>,
    known: BTreeMap<String, Known>,
    awaited: Option<Awaited>,
}

impl Connection {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self {
            state: State::Hello { deadline },
            queue: VecDeque::new(),
            known: BTreeMap::new(),
            awaited: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            State::Hello { .. } => Phase::Hello,
            State::Snapshot { .. } => Phase::Snapshot,
            State::Live => Phase::Live,
        }
    }

    pub(crate) fn known(&self, uid: &str) -> Option<&Known> {
        self.known.get(uid)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (&self.awaited, &self.state) {
            (Some(awaited), _) => Some(awaited.deadline),
            (None, State::Hello { deadline }) => Some(*deadline),
            (None, _) => None,
        }
    }

    /// Why the connection has to be closed at that time.
    pub(crate) fn expired(&self, now: Instant) -> Option<ConversationError> {
        let expired = self.deadline().is_some_and(|deadline| deadline <= now);
        expired.then_some(match self.awaited {
            Some(_) => ConversationError::NoAnswer,
            None => ConversationError::NoHello,
        })
    }

    /// The pod has changed. Before the hello nothing is queued: the snapshot will contain it.
    pub(crate) fn changed(&mut self, uid: &str) {
        if self.phase() != Phase::Hello && !self.queue.iter().any(|queued| queued == uid) {
            self.queue.push_back(uid.to_owned());
        }
    }

    /// Reads a datagram. Returns the pod that ztunnel refused, with its error.
    pub(crate) fn receive<'a>(
        &mut self,
        datagram: &[u8],
        uids: impl Iterator<Item = &'a String>,
    ) -> Result<Option<(String, String)>, ConversationError> {
        if let State::Hello { .. } = self.state {
            Hello::decode(datagram).map_err(ConversationError::Hello)?;
            self.queue = uids.cloned().collect();
            self.state = State::Snapshot {
                left: self.queue.len(),
            };
            return Ok(None);
        }
        let awaited = self.awaited.take().ok_or(ConversationError::Unexpected)?;
        let Ack(result) = Ack::decode(datagram).map_err(ConversationError::Answer)?;
        let result = result.map_err(|error| escaped(truncated(&error, MAX_ERROR)).into_owned());
        let uid = match awaited.request {
            Request::SnapshotSent => {
                result.map_err(ConversationError::SnapshotRefused)?;
                self.state = State::Live;
                return Ok(None);
            }
            Request::Delete { uid } if result.is_ok() => {
                self.known.remove(&uid);
                return Ok(None);
            }
            Request::Add { uid, .. } | Request::Keep { uid } | Request::Delete { uid } => uid,
        };
        let refused = result.err();
        if let Some(known) = self.known.get_mut(&uid) {
            known.answer = refused.clone().map_or(Answer::Done, Answer::Refused);
        }
        Ok(refused.map(|error| (uid, error)))
    }

    /// The next request, whose answer has to come before the deadline; with the namespace of an `Add`.
    pub(crate) fn next<N: Clone>(
        &mut self,
        pods: &BTreeMap<String, Pod<N>>,
        deadline: Instant,
    ) -> Option<(Request, Option<N>)> {
        if self.awaited.is_some() || self.phase() == Phase::Hello {
            return None;
        }
        let (request, netns) = self.choose(pods)?;
        self.awaited = Some(Awaited {
            request: request.clone(),
            deadline,
        });
        Some((request, netns))
    }

    fn choose<N: Clone>(
        &mut self,
        pods: &BTreeMap<String, Pod<N>>,
    ) -> Option<(Request, Option<N>)> {
        loop {
            if let State::Snapshot { left } = &mut self.state {
                let Some(others) = left.checked_sub(1) else {
                    return Some((Request::SnapshotSent, None));
                };
                *left = others;
            }
            let uid = self.queue.pop_front()?;
            let chosen = self.compare(uid, pods);
            if chosen.is_some() {
                return chosen;
            }
        }
    }

    /// What this ztunnel has to learn about the pod.
    fn compare<N: Clone>(
        &mut self,
        uid: String,
        pods: &BTreeMap<String, Pod<N>>,
    ) -> Option<(Request, Option<N>)> {
        let phase = self.phase();
        let known = self.known.get_mut(&uid);
        let Some(pod) = pods.get(&uid) else {
            return known.is_some().then_some((Request::Delete { uid }, None));
        };
        let chosen = match (&pod.netns, known) {
            (Some(_), Some(known)) if known.is_accepted(pod.version) => return None,
            (Some(netns), _) => {
                let (uid, workload) = (uid.clone(), pod.workload.clone());
                (Request::Add { uid, workload }, Some(netns.clone()))
            }
            // It keeps the pod without a request.
            (None, Some(known)) => {
                known.version = pod.version;
                return None;
            }
            (None, None) if phase == Phase::Snapshot => (Request::Keep { uid: uid.clone() }, None),
            // A `Keep` after the snapshot would end ztunnel.
            (None, None) => return None,
        };
        self.known.insert(
            uid,
            Known {
                version: pod.version,
                answer: Answer::Awaited,
            },
        );
        Some(chosen)
    }
}
