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

#![forbid(unsafe_code)]

mod http;
mod install;
mod kube;
mod live;
mod log;
mod metrics;
mod readiness;
mod repair;
mod report;
mod run;
mod settings;
mod shutdown;
mod status;
mod taint;

use mesh_cni_installer::error_chain as one_line;

pub use http::socket::{ListenError, SOCKET};
pub use kube::api::ApiError;
pub use kube::facts::FactsAnswer;
pub use kube::pod::{Container, ContainerState, Pod, PodName, Termination};
pub use kube::pods::{Changes, Event, Labels, Lookup, Namespace, NamespaceEvent, PodEvent, Pods};
pub use kube::store::{Directory, Subscription};
pub use log::{LogFormat, LogLevel};
pub use metrics::{InstallResult, Metrics, RepairResult};
pub use readiness::{Board, Check, Standing};
pub use repair::{
    BrokenPod, Diagnosis, History, Reason, Remedy, RepairAction, RepairSettings, RepairStatus,
    Rules, Sight, Wanted, diagnose,
};
pub use report::{Decision, Line, MAX_REPORT_BYTES, Report, ReportError};
pub use run::{ServiceError, run};
pub use settings::{ApiAccess, ServiceSettings};
pub use shutdown::{Stop, Stopper};
pub use status::{BackendStatus, CheckStatus, State, Status};
