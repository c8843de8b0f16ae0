//! Shared definitions of the agent and its clients.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::time::Duration;

mod ambient;
mod client;
mod enrolment;
pub mod path;
mod pod;
mod pod_list;
mod report;
mod response;
mod seqpacket;
mod status;

pub use ambient::{AmbientPod, AmbientState, AmbientStatus};
pub use client::{Bounded, Client, Deadline, HttpError, SetTimeout};
pub use enrolment::{
    AMBIENT_SOCKET_FILE, ENROLMENT_TIMEOUT, Enrolment, EnrolmentAnswer, EnrolmentError,
    EnrolmentRefusal, MAX_ADDRESSES, MAX_ENROLMENT_BYTES,
};
pub use pod::{PROTOCOL_VERSION, PodAnswer, PodAnswerError};
pub use pod_list::{
    ListedPod, MAX_LISTED_PODS, PodDecision, PodList, PodListSource, Refusals, RulesApplied,
};
pub use report::{
    AddOutcome, LogLine, MAX_REPORT_BYTES, MAX_WARNINGS, Report, ReportError, ReportedWarning,
};
pub use response::{ErrorBody, Response, ResponseError};
pub use seqpacket::{Datagram, SeqPacket};
pub use status::{AgentState, AgentStatus, BackendStatus, BrokenPod, CheckStatus, RepairStatus};

/// How long a client waits for the facts about a pod: to connect, to send and to receive.
///
/// An ADD waits this long for an agent that is stuck. The agent answers in less, with an error if it
/// has no facts by then.
pub const POD_TIMEOUT: Duration = Duration::from_secs(5);

/// The file name of the agent's Unix socket in the run directory (`cni_agent_run_dir`).
pub const SOCKET_FILE: &str = "agent.sock";
