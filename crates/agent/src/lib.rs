//! The long-running agent of a node. It keeps the CNI plugin installed, watches the pods of its node,
//! answers requests about them on a socket, repairs pods that run without their rules, and reports
//! health and metrics.
//!
//! [`run`] is the whole service, on one thread with an event loop; blocking work runs on other threads.
//!
//! | part | input | output |
//! |---|---|---|
//! | [`Pods`] | events of a watch | the pods of the node |
//! | [`PodStore`] | the same, shared | waits for a pod; [`Subscription`]s receive changes |
//! | [`Readiness`] | the state of each check | ready or not, and why |
//! | [`Metrics`] | counts and durations | the text that Prometheus reads |
//! | [`diagnose`] | a pod and the rules in its namespace | whether it is broken, and what to do |

#![forbid(unsafe_code)]

mod ambient;
mod decide;
mod http;
mod install;
mod kube;
mod live_rules;
mod log;
mod metrics;
mod other_meshes;
mod pod_list;
mod pod_netns;
mod readiness;
mod repair;
mod reported;
mod run;
mod settings;
mod shutdown;
mod taint;
mod warnings;
mod watch_progress;

use mesh_cni_installer::error_chain;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use ambient::AmbientSettings;
pub use http::limits::{Limits, Places};
pub use http::socket::ListenError;
pub use kube::lookup::FactsError;
pub use kube::namespaces::NamespaceKeys;
pub use kube::pods::{Changes, Lookup, Pods, UsedFields, WatchEvent};
pub use kube::store::{PodStore, Subscription};
pub use log::LogFormat;
pub use mesh_cni_kube::access::ApiAccess;
pub use mesh_cni_kube::api_error::{ApiError, ErrorStatus};
pub use mesh_cni_kube::container::{Container, ContainerState, Termination};
pub use mesh_cni_kube::namespace::{Labels, Namespace};
pub use mesh_cni_kube::pod::{Pod, PodError, PodName};
pub use metrics::{CurrentState, InstallResult, Metrics, RepairResult};
pub use readiness::{Check, CheckState, Readiness};
pub use repair::{
    Action, Diagnosis, Expected, History, Observation, ObservedRules, Reason, RepairMethod,
    RepairSettings, diagnose,
};
pub use run::{ServiceError, run};
pub use settings::ServiceSettings;
pub use watch_progress::{STALE_AFTER, WatchKind, WatchProgress};
