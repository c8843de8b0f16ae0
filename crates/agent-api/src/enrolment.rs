//! How the plugin passes the network namespace of an ambient pod to the agent.
//!
//! The plugin sends one datagram to a Unix socket of type `SOCK_SEQPACKET`: an [`Enrolment`] as JSON, with
//! the open namespace as its only descriptor. The agent answers with an [`EnrolmentAnswer`] when ztunnel
//! accepts connections in the namespace, or when it cannot be made to.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::client::Deadline;
use crate::pod::PROTOCOL_VERSION;
use crate::seqpacket::SeqPacket;

/// The file name of the socket in the run directory.
pub const AMBIENT_SOCKET_FILE: &str = "ambient.sock";

/// How long the plugin waits for the answer. The agent answers in less, with an error if ztunnel has not
/// answered by then.
pub const ENROLMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest [`Enrolment`] and the largest [`EnrolmentAnswer`], in bytes of JSON.
pub const MAX_ENROLMENT_BYTES: usize = 8 * 1024;

/// The most addresses in an [`Enrolment`].
pub const MAX_ADDRESSES: usize = 64;

/// A pod whose rules are applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// [`PROTOCOL_VERSION`] of the plugin.
    pub version: u32,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID, if the runtime passed it.
    #[serde(default)]
    pub uid: Option<String>,
    /// The addresses in the namespace. The API server does not know them yet. At most
    /// [`MAX_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
}

/// The answer of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolmentAnswer {
    /// ztunnel serves the pod.
    Enrolled,
    /// It does not.
    Refused(EnrolmentRefusal),
}

/// Why ztunnel does not serve a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{reason}")]
pub struct EnrolmentRefusal {
    /// The reason, in one line.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether another attempt may succeed without a change by people.
    pub is_temporary: bool,
}

/// Why a pod was not enrolled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The agent does not listen, or the exchange failed.
    #[error("the agent cannot be reached")]
    Io(#[source] io::Error),
    /// No answer within [`ENROLMENT_TIMEOUT`].
    #[error("the agent did not answer within {} s", ENROLMENT_TIMEOUT.as_secs())]
    Timeout,
    /// The agent closed the connection without an answer.
    #[error("the agent ended before it answered")]
    NoAnswer,
    /// The answer is not JSON of this type.
    #[error("the agent's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// The agent refused.
    #[error(transparent)]
    Refused(#[from] EnrolmentRefusal),
}

impl EnrolmentError {
    /// Whether another attempt may succeed without a change by people.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Io(_) | Self::Timeout | Self::NoAnswer => true,
            Self::Answer(_) => false,
            Self::Refused(refusal) => refusal.is_temporary,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Io(_) | Self::Timeout | Self::NoAnswer => {
                "check the mesh-cni pod of the node and its log; its flag --ambient-enabled must be true"
            }
            Self::Answer(_) => "use the same version of mesh-cni for the plugin and the agent",
            Self::Refused(refusal) => &refusal.remedy,
        }
    }
}

impl From<io::Error> for EnrolmentError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Io(error),
        }
    }
}

impl Enrolment {
    /// The pod with that name.
    pub fn new(namespace: &str, name: &str, uid: Option<&str>, addresses: Vec<IpAddr>) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.map(str::to_owned),
            addresses,
        }
    }

    /// Passes the namespace to the agent that listens there, and waits until ztunnel serves the pod.
    pub fn send(&self, socket: &Path, netns: BorrowedFd<'_>) -> Result<(), EnrolmentError> {
        let deadline = Deadline::after(ENROLMENT_TIMEOUT);
        let connection = SeqPacket::connect_within(socket, ENROLMENT_TIMEOUT)?;
        let json = serde_json::to_vec(self).map_err(io::Error::from)?;
        connection.send(&json, &[netns])?;
        connection.set_timeout(deadline.remaining()?)?;
        let answer = connection.receive(MAX_ENROLMENT_BYTES)?;
        let answer = answer.ok_or(EnrolmentError::NoAnswer)?;
        match serde_json::from_slice(&answer.bytes).map_err(EnrolmentError::Answer)? {
            EnrolmentAnswer::Enrolled => Ok(()),
            EnrolmentAnswer::Refused(refusal) => Err(refusal.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt;
    use std::thread;

    use super::*;

    /// What an agent that answers this receives, and what the plugin makes of the answer.
    fn exchange(answer: Option<&[u8]>) -> (Enrolment, File, Result<(), EnrolmentError>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(AMBIENT_SOCKET_FILE);
        let listener = SeqPacket::listen(&path).unwrap();
        let sent = Enrolment::new("shop", "cart", Some("u-1"), vec![[10, 0, 0, 5].into()]);
        let netns = File::open("/proc/self/ns/net").unwrap();
        thread::scope(|scope| {
            let plugin = scope.spawn(|| sent.send(&path, netns.as_fd()));
            let connection = listener.accept().unwrap();
            let mut received = connection.receive(MAX_ENROLMENT_BYTES).unwrap().unwrap();
            assert!(!received.is_truncated);
            assert_eq!(received.descriptors.len(), 1);
            if let Some(answer) = answer {
                connection.send(answer, &[]).unwrap();
            }
            drop(connection);
            let enrolment = serde_json::from_slice(&received.bytes).unwrap();
            let descriptor = received.descriptors.remove(0);
            (enrolment, descriptor.into(), plugin.join().unwrap())
        })
    }

    #[test]
    fn the_agent_receives_the_pod_and_its_namespace() {
        let (enrolment, netns, answer) = exchange(Some(br#""enrolled""#));
        answer.unwrap();
        assert_eq!(enrolment.name, "cart");
        assert_eq!(enrolment.version, PROTOCOL_VERSION);
        let own = fs::metadata("/proc/self/ns/net").unwrap();
        assert_eq!(netns.metadata().unwrap().ino(), own.ino());
    }

    #[test]
    fn a_refusal_carries_its_remedy() {
        let answer = EnrolmentAnswer::Refused(EnrolmentRefusal {
            reason: "no ztunnel is connected".to_owned(),
            remedy: "check the ztunnel pod of the node".to_owned(),
            is_temporary: true,
        });
        let error = exchange(Some(&serde_json::to_vec(&answer).unwrap())).2;
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "no ztunnel is connected");
        assert_eq!(error.remedy(), "check the ztunnel pod of the node");
        assert!(error.is_temporary());
    }

    #[test]
    fn an_agent_that_does_not_answer_correctly_enrols_nothing() {
        let error = exchange(None).2.unwrap_err();
        assert!(matches!(error, EnrolmentError::NoAnswer), "{error}");
        for answer in [&b"{}"[..], b"\xff", br#""later""#] {
            let error = exchange(Some(answer)).2.unwrap_err();
            assert!(matches!(error, EnrolmentError::Answer(_)), "{error}");
            assert!(!error.is_temporary());
        }
        let sent = Enrolment::new("shop", "cart", None, Vec::new());
        let netns = File::open("/proc/self/ns/net").unwrap();
        let error = sent.send(Path::new("/nonexistent/ambient.sock"), netns.as_fd());
        assert!(matches!(error, Err(EnrolmentError::Io(_))), "{error:?}");
    }
}
