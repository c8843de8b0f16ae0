//! Warnings about pods, which plugins report or the agent finds: one Event for each pod and kind of warning.

mod queue;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_cni_agent_api::Report;
use mesh_cni_plan::{Warning, WarningCode};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::ambient::{Cause, OpenProblem};
use crate::error_chain;
use crate::http::routes::Agent;
use crate::kube::pod_event::PodEvent;
use mesh_cni_kube::pod::PodName;
use queue::{EventKind, Queue, Waiting};

/// The time between two Events, so that pods with warnings cause few requests.
const BETWEEN_EVENTS: Duration = Duration::from_secs(1);

/// How long to wait for a pod that the watch has not reported yet.
const WAIT: Duration = Duration::from_secs(2);

/// Warnings that wait for their Events.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    queue: Mutex<Queue>,
    added: Notify,
}

impl Warnings {
    /// Queues the warnings of a report.
    pub(crate) fn add(&self, report: &Report) {
        for warning in &report.warnings {
            self.push(Waiting {
                pod: PodName::new(&report.namespace, &report.name),
                uid: report.uid.clone(),
                event: EventKind::RedirectionWarning,
                code: known_code(&warning.code),
                message: warning.message.clone(),
            });
        }
    }

    /// Queues a warning that the agent found itself.
    pub(crate) fn add_found(&self, pod: &PodName, uid: &str, warning: Warning) {
        self.push(Waiting {
            pod: pod.clone(),
            uid: Some(uid.to_owned()),
            event: EventKind::RedirectionWarning,
            code: warning.code.as_str(),
            message: warning.message,
        });
    }

    /// Queues why a pod in ambient mode is broken.
    pub(crate) fn add_enrolment_failure(
        &self,
        pod: &PodName,
        uid: &str,
        open_problem: &OpenProblem,
    ) {
        self.push(Waiting {
            pod: pod.clone(),
            uid: Some(uid.to_owned()),
            event: EventKind::EnrolmentFailed,
            code: open_problem.cause.as_str(),
            message: open_problem.problem.to_string(),
        });
    }

    fn push(&self, warning: Waiting) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.push(warning) {
            debug!("too many warnings: one gets no Event");
        }
        self.added.notify_one();
    }

    async fn next(&self) -> Waiting {
        loop {
            let next = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.pop()
            };
            match next {
                Some(waiting) => return waiting,
                None => self.added.notified().await,
            }
        }
    }
}

/// The code for those of later versions.
const OTHER: &str = "other";

/// The codes of this version, and the one for all others.
pub(crate) fn known_codes() -> impl Iterator<Item = &'static str> {
    let codes = WarningCode::ALL.into_iter().map(WarningCode::as_str);
    codes.chain([OTHER])
}

/// The code, if this version knows it.
pub(crate) fn known_code(code: &str) -> &'static str {
    known_codes().find(|known| *known == code).unwrap_or(OTHER)
}

/// Creates the Events until the task is dropped. Only pods of this node get one.
pub(crate) async fn create_events(warnings: Arc<Warnings>, agent: Arc<Agent>) {
    let mut created = BTreeSet::new();
    loop {
        let warning = warnings.next().await;
        let uid = warning.uid.as_deref();
        let Some(pod) = agent.store.wait_for(&warning.pod, uid, WAIT).await else {
            debug!(pod = %warning.pod, "a warning gets no Event: the pod is not known");
            continue;
        };
        let key = (pod.uid.clone(), warning.event, warning.code);
        if created.contains(&key) {
            continue;
        }
        let (reason, action, name) = match warning.event {
            EventKind::RedirectionWarning => {
                ("RedirectionWarning", "RedirectPod", warning.code.to_owned())
            }
            EventKind::EnrolmentFailed => (
                "EnrolmentFailed",
                "EnrolPod",
                format!("ambient-{}", warning.code),
            ),
        };
        let event = PodEvent {
            key: Some(&name),
            is_warning: true,
            reason,
            action,
            note: &format!("{} [{}]", warning.message, warning.code),
        };
        let (api, metrics) = (&agent.lookup.api, &agent.metrics);
        match event.create(api, metrics, &agent.node, &pod).await {
            Ok(()) => {
                created.insert(key);
                if created.len() > agent.store.count() * (WarningCode::ALL.len() + Cause::ALL.len())
                {
                    created.retain(|(uid, ..)| agent.store.by_uid(uid).is_some());
                }
            }
            Err(error) => {
                let (namespace, pod) = (&pod.name.namespace, &pod.name.name);
                let error = error_chain(&error);
                warn!(
                    namespace,
                    pod, "cannot create an Event for a warning: {error}"
                );
            }
        }
        sleep(BETWEEN_EVENTS).await;
    }
}
