//! Carrying a remedy out, and telling of it: Event, metric, log.

use std::sync::Arc;
use std::time::SystemTime;

use kube::core::params::Preconditions;
use mesh_cni_netfilter::RuleSet;
use mesh_cni_netns::Applied;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::diagnosis::{Diagnosis, History, Remedy, Rules, diagnose};
use super::event::Notice;
use super::{Patient, Repairs, Seen};
use crate::kube::api::{ApiError, Versioned};
use crate::kube::pod::{Pod, PodName};
use crate::metrics::RepairResult;

/// What came of a remedy, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done.
    Done(String),
    /// There was nothing to do any more.
    Skip(String),
    /// It was not done; the words hold what to do about it.
    Failed(String),
    /// It could not be tried, since no process of the pod runs now. Some runtimes keep none for the
    /// sandbox, and then one is there only while a container runs.
    Missed(String),
}

impl Repairs {
    pub(super) async fn treat(
        &self,
        seen: &mut Seen,
        patient: &Patient,
        history: &History,
        remedy: Remedy,
    ) -> Outcome {
        match remedy {
            Remedy::InPlace => self.mend(seen, patient, history).await,
            Remedy::Delete => self.delete(patient, history).await,
            Remedy::Label | Remedy::Unlabel => self.label(&patient.pod, remedy).await,
        }
    }

    async fn mend(&self, seen: &mut Seen, patient: &Patient, history: &History) -> Outcome {
        let processes = self.processes(seen).await;
        let (hands, pod) = (Arc::clone(&self.hands), Arc::clone(&patient.pod));
        let (wanted, choice) = (Arc::clone(&patient.rules), self.choice);
        let work = spawn_blocking(move || hands.mend(&processes, &pod, &wanted, choice));
        match work.await {
            Ok(Ok(applied)) => Outcome::Done(mended(&patient.rules, applied, history)),
            Ok(Err(error)) => {
                let words = format!(
                    "traffic is not redirected, and repair failed: {}; {}",
                    crate::one_line(&error),
                    error.remedy()
                );
                if error.passes() {
                    Outcome::Missed(words)
                } else {
                    Outcome::Failed(words)
                }
            }
            Err(error) => Outcome::Failed(crate::one_line(&error)),
        }
    }

    /// Deletes the pod as it is now, if it is still that one and still broken.
    async fn delete(&self, patient: &Patient, history: &History) -> Outcome {
        let now = match self.fresh(&patient.pod).await {
            Ok(now) => now,
            Err(outcome) => return outcome,
        };
        let diagnosis = diagnose(&now.object, &patient.wanted, history, &self.settings);
        if diagnosis != Diagnosis::Act(Remedy::Delete) {
            return Outcome::Skip("it has changed meanwhile".to_owned());
        }
        let only = Preconditions {
            uid: Some(now.object.uid),
            resource_version: Some(now.version),
        };
        self.metrics.api_asked("delete");
        let name = &patient.pod.name;
        match self.api.delete(&pods_of(name), &name.name, only).await {
            Ok(()) => Outcome::Done(
                "its validation fails, since it started before the plugin; it was deleted, so \
                 that its controller makes another"
                    .to_owned(),
            ),
            Err(error) => refused(&error, "delete pods"),
        }
    }

    /// Labels the pod as it is now, if it is still that one.
    pub(super) async fn label(&self, pod: &Pod, remedy: Remedy) -> Outcome {
        let (key, value) = &self.settings.label;
        let (value, words) = match remedy {
            Remedy::Unlabel => (
                Value::Null,
                format!("label {key} is taken away: its traffic is redirected"),
            ),
            _ => (
                json!(value),
                format!("labelled {key}={value}: its traffic is not redirected"),
            ),
        };
        let now = match self.fresh(pod).await {
            Ok(now) => now,
            Err(outcome) => return outcome,
        };
        let change = json!({"metadata": {"resourceVersion": now.version, "labels": {key: value}}});
        self.metrics.api_asked("patch");
        let patched = self
            .api
            .merge(&pods_of(&pod.name), &pod.name.name, &change)
            .await;
        match patched {
            Ok(()) => Outcome::Done(words),
            Err(error) => refused(&error, "patch pods"),
        }
    }

    /// The pod as the API server has it now, with its version: what is changed by that version is
    /// no successor of it.
    async fn fresh(&self, pod: &Pod) -> Result<Versioned<Pod>, Outcome> {
        self.metrics.api_asked("get");
        match self
            .api
            .get::<Pod>(&pods_of(&pod.name), &pod.name.name)
            .await
        {
            Ok(Some(now)) if now.object.uid == pod.uid => Ok(now),
            Ok(Some(_)) => Err(Outcome::Skip("another pod has its name now".to_owned())),
            Ok(None) => Err(Outcome::Skip("it is gone".to_owned())),
            Err(error) => Err(refused(&error, "get pods")),
        }
    }

    /// Tells people, programs and the log.
    pub(super) async fn tell(&self, pod: &Pod, remedy: Remedy, outcome: &Outcome) {
        let (namespace, name, action) = (&pod.name.namespace, &pod.name.name, remedy.as_str());
        let (result, outcome) = match outcome {
            Outcome::Done(words) => {
                info!(
                    namespace,
                    pod = name,
                    uid = pod.uid,
                    action,
                    "repair: {words}"
                );
                (RepairResult::Success, Ok(words.clone()))
            }
            Outcome::Skip(words) => {
                info!(
                    namespace,
                    pod = name,
                    uid = pod.uid,
                    action,
                    "repair: not needed: {words}"
                );
                return self.metrics.repaired(action, RepairResult::Skip);
            }
            Outcome::Failed(words) | Outcome::Missed(words) => {
                warn!(
                    namespace,
                    pod = name,
                    uid = pod.uid,
                    action,
                    "repair: {words}"
                );
                (RepairResult::Failure, Err(words.clone()))
            }
        };
        let notice = Notice { remedy, outcome };
        let event = notice.event(pod, &self.node, SystemTime::now());
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        self.metrics.api_asked("create");
        if let Err(error) = self.api.create(&path, &event).await {
            self.metrics.api_failed();
            let error = crate::one_line(&error);
            warn!(
                namespace,
                pod = name,
                "repair: no Event tells of it: {error}"
            );
        }
        self.metrics.repaired(action, result);
    }
}

/// The path of a pod's kind in its namespace.
fn pods_of(name: &PodName) -> String {
    format!("/api/v1/namespaces/{}/pods", name.namespace)
}

/// Who is gone or changed needs nothing; every other refusal is a failure.
fn refused(error: &ApiError, right: &str) -> Outcome {
    match error.code() {
        Some(404 | 409) => Outcome::Skip(crate::one_line(error)),
        Some(401 | 403) => Outcome::Failed(format!(
            "{}; give the agent's role the right: {right}",
            crate::one_line(error)
        )),
        _ => Outcome::Failed(format!(
            "{}; nothing to do: it is tried again",
            crate::one_line(error)
        )),
    }
}

fn mended(rules: &[RuleSet], applied: Applied, history: &History) -> String {
    let before = match history.sight.as_ref().map(|sight| &sight.rules) {
        Some(Rules::Other(difference)) => format!("its rules were not as wanted ({difference})"),
        _ => "it had started without rules".to_owned(),
    };
    let sets = rules.iter();
    let sets: Vec<_> = sets
        .map(|rules| format!("{} {} rules", rules.rule_count(), rules.family))
        .collect();
    format!(
        "{before}; {} stand now, made by {}, and nothing was started again; connections from \
         before stay past the proxy",
        sets.join(" and "),
        applied.backend
    )
}
