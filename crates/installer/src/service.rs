//! The long-running agent of a node: it watches the node's pods, answers for them on a socket, keeps
//! the plugin in place, and says how it is.
//!
//! One thread runs everything, on one event loop. What is decided is decided by pure parts: [`Pods`]
//! takes events of the API server and finds pods; [`Board`] says whether the agent is ready. Around
//! them, the watch feeds the one, and the sockets read both.
//!
//! | part | takes | gives |
//! |---|---|---|
//! | [`Pods`] | events, in the order of the API server | the pod that is asked for, or why not |
//! | [`Directory`] | the same, shared | waits for a pod; tells [`Subscription`]s what changed |
//! | [`Board`] | what each part says of itself | ready or not, and why |
//! | [`Metrics`] | what happened | the page that Prometheus reads |
//! | [`diagnose`] | what is known of a pod | whether it runs without its rules, and what to do |

mod api;
mod board;
mod directory;
mod facts;
mod http;
mod keep;
mod listen;
mod live;
mod log;
mod metrics;
mod page;
mod pod;
mod pods;
mod repair;
mod report;
mod routes;
mod run;
mod settings;
mod signal;
mod standing;
mod taint;
mod watch;

pub use api::ApiError;
pub use board::{Board, Check, Standing};
pub use directory::{Directory, Subscription};
pub use facts::FactsAnswer;
pub use listen::{ListenError, SOCKET};
pub use log::{LogFormat, LogLevel};
pub use metrics::{InstallResult, Metrics, RepairResult};
pub use pod::{Container, ContainerState, Pod, PodName, Termination};
pub use pods::{Changes, Event, Labels, Lookup, Namespace, NamespaceEvent, PodEvent, Pods};
pub use repair::{
    BrokenPod, Diagnosis, History, Reason, Remedy, RepairAction, RepairSettings, RepairStatus,
    Rules, Sight, Wanted, diagnose,
};
pub use report::{Decision, Line, MAX_REPORT_BYTES, Report, ReportError};
pub use run::{ServiceError, run};
pub use settings::{ApiAccess, ServiceSettings};
pub use signal::{Stop, Stopper};
pub use standing::{BackendStatus, CheckStatus, State, Status};
