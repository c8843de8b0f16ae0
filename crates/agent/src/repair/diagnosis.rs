//! Whether a pod is broken, and what is to be done: a pure function of what the API server says of
//! it and of what was seen in its namespace.

use std::fmt;

use super::settings::{RepairAction, RepairSettings};
use crate::kube::pod::{Container, ContainerState, Pod, Termination};

/// The exit code by which a validation says that the rules do not redirect.
const UNPROVEN: i32 = 126;

/// The words by which Istio's own says the same in its termination message.
const UNPROVEN_WORDS: &str = "iptables validation failed";

/// The annotation by which a static pod's mirror is known.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What the plugin would do for the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its traffic is redirected.
    Rules,
    /// Nothing, for that reason; also where nobody can tell.
    Nothing(String),
}

/// What is known of a pod's repair so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last look into its namespace.
    pub sight: Option<Sight>,
    /// How often its validation had been started again when its rules were first seen whole.
    pub whole_since: Option<u32>,
    /// The label as this agent set it (`true`) or took it away.
    pub labelled: Option<bool>,
    /// This agent has deleted it.
    pub deleted: bool,
}

/// A look into a pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What was seen.
    pub rules: Rules,
    /// How often the validation had been started again at that time.
    pub restarts: u32,
    /// The pod's addresses at that time: another sandbox of the pod has others.
    pub addresses: Vec<String>,
}

/// The rules in a pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// They stand as they should.
    Whole,
    /// None of ours stands.
    Missing,
    /// Some of ours stand, and not the wanted ones: the first difference.
    Other(String),
    /// They cannot be seen, for that reason.
    Unseen(String),
}

/// What is to be done about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// Nothing, for that reason.
    Leave(Reason),
    /// Look into its namespace, then diagnose again.
    Look,
    /// That.
    Act(Remedy),
}

/// What is done to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Program its namespace.
    InPlace,
    /// Delete it.
    Delete,
    /// Label it as broken.
    Label,
    /// Take that label away.
    Unlabel,
}

/// Why a pod is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It gets no rules.
    NotSelected(String),
    /// It is on its way out.
    Deleting,
    /// It has ended.
    Ended,
    /// It ended before anybody could repair it, and is never started again.
    EndedBroken,
    /// Its sandbox is not there yet.
    NoSandbox,
    /// Its rules stand.
    Whole,
    /// Its rules stand, and its validation fails all the same.
    WholeAndFailing,
    /// Rules of ours stand, from other settings: the first difference.
    OtherRules(String),
    /// Its rules cannot be seen.
    Unseen(String),
    /// Its validation has not failed, which is all that is looked at.
    NotFailing,
    /// It has no controller that would make it again.
    NoController,
    /// The kubelet runs it from a file: deleting it changes nothing.
    Static,
    /// It is broken and labelled, which is all that was asked for.
    Labelled,
}

/// Diagnoses one pod.
pub fn diagnose(
    pod: &Pod,
    wanted: &Wanted,
    history: &History,
    settings: &RepairSettings,
) -> Diagnosis {
    if let Wanted::Nothing(why) = wanted {
        return Diagnosis::Leave(Reason::NotSelected(why.clone()));
    }
    if pod.deleting || history.deleted {
        return Diagnosis::Leave(Reason::Deleting);
    }
    let case = Case {
        pod,
        history,
        settings,
        failing: is_failing(pod, &settings.init_container),
    };
    match settings.action {
        Some(RepairAction::InPlace) => case.in_place(),
        Some(RepairAction::Delete) => case.delete(),
        None => case.label(),
    }
}

/// What is to be done where a remedy has failed: people are shown the pod.
pub(super) fn after_failure(
    pod: &Pod,
    history: &History,
    settings: &RepairSettings,
) -> Option<Remedy> {
    let labelled = history
        .labelled
        .unwrap_or_else(|| has_label(pod, &settings.label));
    (settings.label_pods && !labelled && !history.deleted).then_some(Remedy::Label)
}

impl Sight {
    /// What a look at the pod as it is now has shown.
    pub fn of(pod: &Pod, rules: Rules, settings: &RepairSettings) -> Self {
        Self {
            rules,
            restarts: restarts(pod, &settings.init_container),
            addresses: pod.addresses.clone(),
        }
    }
}

/// How often the pod's validation was started again; nought without one.
fn restarts(pod: &Pod, init_container: &str) -> u32 {
    validation(pod, init_container).map_or(0, |container| container.restarts)
}

/// Whether the pod's validation says that the rules do not redirect, and has not said otherwise
/// since.
fn is_failing(pod: &Pod, init_container: &str) -> bool {
    let Some(container) = validation(pod, init_container) else {
        return false;
    };
    match &container.state {
        ContainerState::Terminated(end) => is_unproven(end),
        ContainerState::Waiting(_) => container.last_termination.as_ref().is_some_and(is_unproven),
        // It is at it again.
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
        if self.has_ended() {
            return self.ended();
        }
        if self.pod.addresses.is_empty() {
            return Diagnosis::Leave(Reason::NoSandbox);
        }
        let Some(sight) = self.sight() else {
            return Diagnosis::Look;
        };
        match &sight.rules {
            Rules::Whole if self.labelled() => Diagnosis::Act(Remedy::Unlabel),
            Rules::Whole if self.failing_since_whole() => Diagnosis::Leave(Reason::WholeAndFailing),
            Rules::Whole => Diagnosis::Leave(Reason::Whole),
            Rules::Missing => Diagnosis::Act(Remedy::InPlace),
            // A pod that runs with the rules of earlier settings keeps them, as docs/operations.md
            // says: only a proof that they do not redirect is a reason to touch them.
            Rules::Other(_) | Rules::Unseen(_) if self.failing => Diagnosis::Act(Remedy::InPlace),
            Rules::Other(difference) => Diagnosis::Leave(Reason::OtherRules(difference.clone())),
            Rules::Unseen(why) => Diagnosis::Leave(Reason::Unseen(why.clone())),
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
        Diagnosis::Act(Remedy::Delete)
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

    /// The label for a broken pod for which nothing else is done, for that reason.
    fn label_instead(&self, reason: Reason) -> Diagnosis {
        if self.settings.label_pods && !self.labelled() {
            Diagnosis::Act(Remedy::Label)
        } else {
            Diagnosis::Leave(reason)
        }
    }

    /// Its validation tells nothing before it has run: the label goes when it has passed.
    fn not_failing(&self) -> Diagnosis {
        let validation = validation(self.pod, &self.settings.init_container);
        let passed = validation.is_some_and(|container| match &container.state {
            ContainerState::Terminated(end) => end.exit_code == 0,
            _ => false,
        });
        if passed && self.labelled() {
            Diagnosis::Act(Remedy::Unlabel)
        } else {
            Diagnosis::Leave(Reason::NotFailing)
        }
    }

    /// The last look, unless the validation has failed once more since, or the sandbox is another.
    fn sight(&self) -> Option<&Sight> {
        let now = restarts(self.pod, &self.settings.init_container);
        let sight = self.history.sight.as_ref()?;
        let holds = sight.addresses == self.pod.addresses;
        (holds && (!self.failing || now <= sight.restarts)).then_some(sight)
    }

    /// The kubelet tries a failed validation again by itself, after a while.
    fn failing_since_whole(&self) -> bool {
        let now = restarts(self.pod, &self.settings.init_container);
        self.failing && self.history.whole_since.is_some_and(|since| now > since)
    }

    fn labelled(&self) -> bool {
        self.settings.label_pods
            && self
                .history
                .labelled
                .unwrap_or_else(|| has_label(self.pod, &self.settings.label))
    }

    fn has_ended(&self) -> bool {
        matches!(self.pod.phase.as_str(), "Succeeded" | "Failed")
    }
}

fn has_label(pod: &Pod, (key, value): &(String, String)) -> bool {
    let labels = pod.facts.as_ref().map(|facts| &facts.labels);
    labels.is_ok_and(|labels| labels.get(key) == Some(value))
}

fn validation<'pod>(pod: &'pod Pod, name: &str) -> Option<&'pod Container> {
    pod.init_containers
        .iter()
        .find(|container| container.name == name)
}

fn is_unproven(end: &Termination) -> bool {
    end.exit_code == UNPROVEN || end.exit_code != 0 && end.message.contains(UNPROVEN_WORDS)
}

impl History {
    /// Takes what a look has shown.
    pub fn saw(&mut self, sight: Sight) {
        if sight.rules == Rules::Whole {
            self.whole_since = self.whole_since.or(Some(sight.restarts));
        } else {
            self.whole_since = None;
        }
        self.sight = Some(sight);
    }
}

impl Remedy {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InPlace => "repair",
            Self::Delete => "delete",
            Self::Label => "label",
            Self::Unlabel => "unlabel",
        }
    }
}

impl Reason {
    /// Whether the pod is broken and stays so.
    pub fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::EndedBroken
                | Self::WholeAndFailing
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
            Self::EndedBroken => f.write_str(
                "it ended before it could be repaired, and is never started again: delete it",
            ),
            Self::NoSandbox => f.write_str("it has no address yet"),
            Self::Whole => f.write_str("its rules stand"),
            Self::WholeAndFailing => {
                f.write_str("its rules stand, and its validation fails all the same: see its log")
            }
            Self::OtherRules(difference) => write!(
                f,
                "rules of other settings stand, and its validation does not fail: {difference}"
            ),
            Self::Unseen(why) => write!(f, "its rules cannot be seen: {why}"),
            Self::NotFailing => f.write_str("its validation does not fail"),
            Self::NoController => {
                f.write_str("nobody would make it again: delete it, and create it anew")
            }
            Self::Static => f.write_str("the kubelet runs it from a file on the node"),
            Self::Labelled => f.write_str("it is broken, and labelled"),
        }
    }
}
