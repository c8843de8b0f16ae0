//! Whether a pod is broken and what to do about it: a pure function of the pod as the API server
//! returns it and of the rules observed in its namespace.

use std::fmt;
use std::net::IpAddr;

use super::settings::{RepairMethod, RepairSettings};
use mesh_cni_kube::container::{Container, ContainerState, Termination};
use mesh_cni_kube::pod::Pod;

/// What Istio's validation writes in its termination message if the rules do not redirect.
const VALIDATION_FAILED_MESSAGE: &str = "iptables validation failed";

/// The annotation of the mirror pod of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What an ADD of the pod would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Redirect its traffic.
    Rules,
    /// Nothing, or fail, for this reason.
    NoRules(String),
}

/// The repair of a pod so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last observation of its namespace.
    pub observation: Option<Observation>,
    /// How often its validation had restarted when its rules were first as expected.
    pub restarts_with_rules: Option<u32>,
    /// Whether this agent set the label (`true`) or removed it (`false`).
    pub labelled: Option<bool>,
    /// Whether this agent deleted it.
    pub deleted: bool,
}

/// The rules observed in a pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The rules.
    pub rules: ObservedRules,
    /// How often the validation had restarted.
    pub restarts: u32,
    /// The pod's addresses. They change with its sandbox.
    pub addresses: Vec<IpAddr>,
}

/// The live rules, compared with the expected ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedRules {
    /// They are as expected.
    AsExpected,
    /// There are none of ours.
    Missing,
    /// There are some of ours, but not as expected: the first difference.
    Different(String),
    /// They cannot be read, for this reason.
    Unreadable(String),
}

/// What to do about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// Nothing, for this reason.
    Leave(Reason),
    /// Observe its rules, then diagnose again.
    Observe,
    /// This action.
    Act(Action),
}

/// An action on a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Apply the rules in its namespace.
    RepairInPlace,
    /// Delete it.
    Delete,
    /// Label it as broken.
    Label,
    /// Remove that label.
    Unlabel,
}

/// Why nothing is done about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It gets no rules.
    NotSelected(String),
    /// It is being deleted.
    Deleting,
    /// It has ended.
    Ended,
    /// It ended before it was repaired, and never restarts.
    EndedBroken,
    /// It has no sandbox yet.
    NoSandbox,
    /// It has its rules.
    HasRules,
    /// It has its rules, but its validation still fails.
    FailsWithRules,
    /// It has rules of ours from other settings: the first difference.
    DifferentRules(String),
    /// Its rules cannot be read.
    Unreadable(String),
    /// Its validation has not failed, and nothing else is checked.
    NotFailing,
    /// It has no controller that would replace it.
    NoController,
    /// The kubelet runs it from a file, so deleting it changes nothing.
    Static,
    /// It is broken and labelled, and nothing else is configured.
    Labelled,
}

/// Diagnoses one pod.
pub fn diagnose(
    pod: &Pod,
    expected: &Expected,
    history: &History,
    settings: &RepairSettings,
) -> Diagnosis {
    if let Expected::NoRules(why) = expected {
        return Diagnosis::Leave(Reason::NotSelected(why.clone()));
    }
    if pod.deleting || history.deleted {
        return Diagnosis::Leave(Reason::Deleting);
    }
    let case = Case {
        pod,
        history,
        settings,
        failing: is_failing(pod, settings),
    };
    match settings.method {
        Some(RepairMethod::InPlace) => case.in_place(),
        Some(RepairMethod::Delete) => case.delete(),
        None => case.label(),
    }
}

/// The action after another one failed: a label for people.
pub(super) fn after_failure(
    pod: &Pod,
    history: &History,
    settings: &RepairSettings,
) -> Option<Action> {
    let labelled = history
        .labelled
        .unwrap_or_else(|| has_label(pod, &settings.label));
    (settings.label_pods && !labelled && !history.deleted).then_some(Action::Label)
}

impl Observation {
    /// An observation of the pod in its current state.
    pub fn new(pod: &Pod, rules: ObservedRules, settings: &RepairSettings) -> Self {
        Self {
            rules,
            restarts: restarts(pod, settings),
            addresses: pod.addresses().to_vec(),
        }
    }
}

/// How often the pod's validation restarted; zero without a validation.
fn restarts(pod: &Pod, settings: &RepairSettings) -> u32 {
    validation(pod, settings).map_or(0, |(container, _)| container.restarts)
}

/// Whether the last result of the pod's validation is that the rules do not redirect.
fn is_failing(pod: &Pod, settings: &RepairSettings) -> bool {
    let Some((container, exit_code)) = validation(pod, settings) else {
        return false;
    };
    let is_validation_failure = |end: &Termination| {
        end.exit_code == exit_code
            || end.exit_code != 0 && end.message.contains(VALIDATION_FAILED_MESSAGE)
    };
    match &container.state {
        ContainerState::Terminated(end) => is_validation_failure(end),
        ContainerState::Waiting(_) => container
            .last_termination
            .as_ref()
            .is_some_and(is_validation_failure),
        ContainerState::Running | ContainerState::Unknown => false,
    }
}

struct Case<'a> {
    pod: &'a Pod,
    history: &'a History,
    settings: &'a RepairSettings,
    failing: bool,
}

impl Case<'_> {
    fn in_place(&self) -> Diagnosis {
        if self.pod.has_ended() {
            return self.ended();
        }
        if self.pod.addresses().is_empty() {
            return Diagnosis::Leave(Reason::NoSandbox);
        }
        let Some(observation) = self.observation() else {
            return Diagnosis::Observe;
        };
        match &observation.rules {
            ObservedRules::AsExpected if self.labelled() => Diagnosis::Act(Action::Unlabel),
            ObservedRules::AsExpected if self.failed_with_rules() => {
                Diagnosis::Leave(Reason::FailsWithRules)
            }
            ObservedRules::AsExpected => Diagnosis::Leave(Reason::HasRules),
            ObservedRules::Missing => Diagnosis::Act(Action::RepairInPlace),
            // A running pod keeps the rules of earlier settings, as docs/operations.md says, unless
            // its validation shows that they do not redirect.
            ObservedRules::Different(_) | ObservedRules::Unreadable(_) if self.failing => {
                Diagnosis::Act(Action::RepairInPlace)
            }
            ObservedRules::Different(difference) => {
                Diagnosis::Leave(Reason::DifferentRules(difference.clone()))
            }
            ObservedRules::Unreadable(why) => Diagnosis::Leave(Reason::Unreadable(why.clone())),
        }
    }

    fn delete(&self) -> Diagnosis {
        if !self.failing {
            return self.not_failing();
        }
        let facts = self.pod.facts.as_ref().ok();
        if facts.is_some_and(|facts| facts.annotations.contains_key(MIRROR)) {
            return self.label_instead(Reason::Static);
        }
        if !self.pod.controlled {
            return self.label_instead(Reason::NoController);
        }
        Diagnosis::Act(Action::Delete)
    }

    fn label(&self) -> Diagnosis {
        if self.failing {
            self.label_instead(Reason::Labelled)
        } else {
            self.not_failing()
        }
    }

    fn ended(&self) -> Diagnosis {
        if self.failing {
            self.label_instead(Reason::EndedBroken)
        } else {
            Diagnosis::Leave(Reason::Ended)
        }
    }

    /// Labels a broken pod if that is configured, and otherwise leaves it for that reason.
    fn label_instead(&self, reason: Reason) -> Diagnosis {
        if self.settings.label_pods && !self.labelled() {
            Diagnosis::Act(Action::Label)
        } else {
            Diagnosis::Leave(reason)
        }
    }

    /// Removes the label only when the validation has passed: before it ran, the result is unknown.
    fn not_failing(&self) -> Diagnosis {
        let validation = validation(self.pod, self.settings);
        let passed = validation.is_some_and(|(container, _)| match &container.state {
            ContainerState::Terminated(end) => end.exit_code == 0,
            _ => false,
        });
        if passed && self.labelled() {
            Diagnosis::Act(Action::Unlabel)
        } else {
            Diagnosis::Leave(Reason::NotFailing)
        }
    }

    /// The last observation, unless the validation has failed again or the sandbox has changed since.
    fn observation(&self) -> Option<&Observation> {
        let restarts = restarts(self.pod, self.settings);
        let observation = self.history.observation.as_ref()?;
        let is_current = observation.addresses == self.pod.addresses()
            && (!self.failing || restarts <= observation.restarts);
        is_current.then_some(observation)
    }

    /// Whether the validation failed again after its rules were as expected. The kubelet restarts it
    /// with a backoff.
    fn failed_with_rules(&self) -> bool {
        let restarts = restarts(self.pod, self.settings);
        let first = self.history.restarts_with_rules;
        self.failing && first.is_some_and(|first| restarts > first)
    }

    fn labelled(&self) -> bool {
        self.settings.label_pods
            && self
                .history
                .labelled
                .unwrap_or_else(|| has_label(self.pod, &self.settings.label))
    }
}

fn has_label(pod: &Pod, (key, value): &(String, String)) -> bool {
    let labels = pod.facts.as_ref().map(|facts| &facts.labels);
    labels.is_ok_and(|labels| labels.get(key) == Some(value))
}

/// The init container that validates the rules, and the exit code with which it fails.
fn validation<'pod>(pod: &'pod Pod, settings: &RepairSettings) -> Option<(&'pod Container, i32)> {
    pod.init_containers.iter().find_map(|container| {
        let mut validations = settings.validations().into_iter();
        let known = validations.find(|validation| validation.name == container.name)?;
        Some((container, known.exit_code))
    })
}

impl History {
    /// Adds an observation.
    pub fn observed(&mut self, observation: Observation) {
        self.restarts_with_rules = match observation.rules {
            ObservedRules::AsExpected => self.restarts_with_rules.or(Some(observation.restarts)),
            _ => None,
        };
        self.observation = Some(observation);
    }
}

impl Action {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepairInPlace => "repair",
            Self::Delete => "delete",
            Self::Label => "label",
            Self::Unlabel => "unlabel",
        }
    }
}

impl Reason {
    /// Whether the pod is broken and stays broken.
    pub fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::EndedBroken
                | Self::FailsWithRules
                | Self::NoController
                | Self::Static
                | Self::Labelled
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected(why) => write!(f, "it gets no rules: {why}"),
            Self::Deleting => f.write_str("it is being deleted"),
            Self::Ended => f.write_str("it has ended"),
            Self::EndedBroken => {
                f.write_str("it ended before it could be repaired and never restarts: delete it")
            }
            Self::NoSandbox => f.write_str("it has no address yet"),
            Self::HasRules => f.write_str("it has its rules"),
            Self::FailsWithRules => {
                f.write_str("it has its rules, but its validation still fails: see its log")
            }
            Self::DifferentRules(difference) => write!(
                f,
                "it has rules of other settings, and its validation does not fail: {difference}"
            ),
            Self::Unreadable(why) => write!(f, "its rules cannot be read: {why}"),
            Self::NotFailing => f.write_str("its validation does not fail"),
            Self::NoController => {
                f.write_str("it has no controller: delete and recreate it by hand")
            }
            Self::Static => f.write_str("the kubelet runs it from a file on the node"),
            Self::Labelled => f.write_str("it is broken and labelled"),
        }
    }
}
