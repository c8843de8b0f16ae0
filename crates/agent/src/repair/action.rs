//! Carries out an action on a pod and reports it as Event, metric and log line.

use std::sync::Arc;

use kube::core::params::Preconditions;
use mesh_cni_netns::Applied;
use mesh_cni_plan::rule_counts;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::diagnosis::{Action, Diagnosis, History, ObservedRules, diagnose};
use super::{Candidate, Processes, Repairer, event};
use crate::error_chain;
use crate::kube::pod_event::PodEvent;
use crate::metrics::RepairResult;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::object::Versioned;
use mesh_cni_kube::pod::{CompletePod, Pod, PodName};

/// The result of an action, with details for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActionResult {
    /// It was done.
    Done(String),
    /// It was no longer needed.
    Skipped(String),
    /// It failed; the details contain what to do about it.
    Failed(String),
    /// It was not possible because the pod has no process now. Some runtimes keep none for the
    /// sandbox, so there is one only while a container runs.
    NotPossible(String),
}

impl Repairer {
    pub(super) async fn carry_out(
        &self,
        processes: &mut Processes,
        candidate: &Candidate,
        history: &History,
        action: Action,
    ) -> ActionResult {
        match action {
            Action::RepairInPlace => self.repair_in_place(processes, candidate, history).await,
            Action::Delete => self.delete(candidate, history).await,
            Action::Label | Action::Unlabel => self.label(&candidate.pod, action).await,
        }
    }

    async fn repair_in_place(
        &self,
        processes: &mut Processes,
        candidate: &Candidate,
        history: &History,
    ) -> ActionResult {
        let processes = self.processes(processes).await;
        let (namespaces, pod) = (Arc::clone(&self.namespaces), Arc::clone(&candidate.pod));
        let (rules, backend) = (Arc::clone(&candidate.rules), self.backend);
        let repair =
            spawn_blocking(move || namespaces.repair(&processes, &pod, &rules, backend)).await;
        match repair {
            Ok(Ok(applied)) => ActionResult::Done(repaired(candidate, applied, history)),
            Ok(Err(error)) => {
                let details = format!(
                    "traffic is not redirected, and repair failed: {}; {}",
                    error_chain(&error),
                    error.remedy()
                );
                if error.is_temporary() {
                    ActionResult::NotPossible(details)
                } else {
                    ActionResult::Failed(details)
                }
            }
            Err(error) => ActionResult::Failed(error_chain(&error)),
        }
    }

    /// Deletes the pod if it still exists and is still broken.
    async fn delete(&self, candidate: &Candidate, history: &History) -> ActionResult {
        let current = match self.current(&candidate.pod).await {
            Ok(current) => current,
            Err(result) => return result,
        };
        let diagnosis = diagnose(
            &current.object,
            &candidate.expected,
            history,
            &self.settings,
        );
        if diagnosis != Diagnosis::Act(Action::Delete) {
            return ActionResult::Skipped("the pod has changed".to_owned());
        }
        let preconditions = Preconditions {
            uid: Some(current.object.uid),
            resource_version: Some(current.version),
        };
        self.lookup.metrics.api_request("delete");
        let name = &candidate.pod.name;
        match self
            .lookup
            .api
            .delete(&pods_path(name), &name.name, preconditions)
            .await
        {
            Ok(()) => ActionResult::Done(
                "its validation fails because it started before the plugin was installed; it was \
                 deleted, so that its controller creates another"
                    .to_owned(),
            ),
            Err(error) => failed_request(&error, "delete pods"),
        }
    }

    /// Sets or removes the label of the pod if it still exists.
    pub(super) async fn label(&self, pod: &Pod, action: Action) -> ActionResult {
        let (key, value) = &self.settings.label;
        let (value, details) = match action {
            Action::Unlabel => (
                Value::Null,
                format!("label {key} removed: its traffic is redirected"),
            ),
            _ => (
                json!(value),
                format!("labelled {key}={value}: its traffic is not redirected"),
            ),
        };
        let current = match self.current(pod).await {
            Ok(current) => current,
            Err(result) => return result,
        };
        let change =
            json!({"metadata": {"resourceVersion": current.version, "labels": {key: value}}});
        self.lookup.metrics.api_request("patch");
        let path = pods_path(&pod.name);
        match self.lookup.api.merge(&path, &pod.name.name, &change).await {
            Ok(()) => ActionResult::Done(details),
            Err(error) => failed_request(&error, "patch pods"),
        }
    }

    /// The current pod with its version, so that a change cannot apply to a newer pod of the same
    /// name.
    async fn current(&self, pod: &Pod) -> Result<Versioned<Pod>, ActionResult> {
        self.lookup.metrics.api_request("get");
        let path = pods_path(&pod.name);
        match self
            .lookup
            .api
            .get::<CompletePod>(&path, &pod.name.name)
            .await
        {
            Ok(Some(current)) if current.object.0.uid == pod.uid => Ok(Versioned {
                version: current.version,
                object: current.object.0,
            }),
            Ok(Some(_)) => Err(ActionResult::Skipped(
                "another pod has its name now".to_owned(),
            )),
            Ok(None) => Err(ActionResult::Skipped("it no longer exists".to_owned())),
            Err(error) => Err(failed_request(&error, "get pods")),
        }
    }

    /// Reports an action as Event, metric and log line.
    pub(super) async fn report(&self, pod: &Pod, action: Action, result: &ActionResult) {
        let (namespace, name, uid) = (&pod.name.namespace, &pod.name.name, &pod.uid);
        let kind = action.as_str();
        let (label, result) = match result {
            ActionResult::Done(details) => {
                info!(
                    namespace,
                    pod = name,
                    uid,
                    action = kind,
                    "repair: {details}"
                );
                (RepairResult::Success, Ok(details))
            }
            ActionResult::Skipped(details) => {
                info!(
                    namespace,
                    pod = name,
                    uid,
                    action = kind,
                    "repair: not needed: {details}"
                );
                return self.lookup.metrics.repaired(kind, RepairResult::Skip);
            }
            ActionResult::Failed(details) | ActionResult::NotPossible(details) => {
                warn!(
                    namespace,
                    pod = name,
                    uid,
                    action = kind,
                    "repair: {details}"
                );
                (RepairResult::Failure, Err(details))
            }
        };
        let event = PodEvent {
            key: None,
            is_warning: result.is_err(),
            reason: event::reason(action, result.is_ok()),
            action: event::action(action),
            note: result.as_ref().unwrap_or_else(|details| details),
        };
        let created = event.create(&self.lookup.api, &self.lookup.metrics, &self.node, pod);
        if let Err(error) = created.await {
            let error = error_chain(&error);
            warn!(
                namespace,
                pod = name,
                "repair: cannot create an Event: {error}"
            );
        }
        self.lookup.metrics.repaired(kind, label);
    }
}

/// The path of the pods in the pod's namespace.
fn pods_path(name: &PodName) -> String {
    format!("/api/v1/namespaces/{}/pods", name.namespace)
}

/// A pod that no longer exists or has changed needs nothing; any other error is a failure.
fn failed_request(error: &ApiError, right: &str) -> ActionResult {
    let details = error_chain(error);
    match error.code() {
        Some(404 | 409) => ActionResult::Skipped(details),
        _ if error.lacks_right() => ActionResult::Failed(format!(
            "{details}; give the agent's role the right: {right}"
        )),
        _ if error.is_refused_change() => ActionResult::Failed(format!(
            "{details}; the agent has the right: {right}, so change the admission policy or webhook \
             that the message names"
        )),
        _ => ActionResult::Failed(format!("{details}; nothing to do: the agent retries")),
    }
}

fn repaired(candidate: &Candidate, applied: Applied, history: &History) -> String {
    let before = match history.observation.as_ref().map(|last| &last.rules) {
        Some(ObservedRules::Different(difference)) => {
            format!("its rules were not as expected ({difference})")
        }
        _ => "it started without rules".to_owned(),
    };
    format!(
        "{before}; {} were applied with {}, and no container restarted; connections that existed \
         before bypass the proxy",
        rule_counts(&candidate.rules.rule_sets),
        applied.backend
    )
}
