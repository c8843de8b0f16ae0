//! Shared definitions of the agent and its clients.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
pub mod path;
mod pod;
mod report;
mod response;
mod status;

pub use client::{Client, Deadline, HttpError};
pub use pod::{PROTOCOL_VERSION, PodAnswer, PodAnswerError};
pub use report::{AddOutcome, LogLine, MAX_REPORT_BYTES, Report, ReportError};
pub use response::{ErrorBody, Response, ResponseError};
pub use status::{AgentState, AgentStatus, BackendStatus, BrokenPod, CheckStatus, RepairStatus};

/// The file name of the agent's Unix socket in the run directory (`cni_agent_run_dir`).
pub const SOCKET_FILE: &str = "agent.sock";
