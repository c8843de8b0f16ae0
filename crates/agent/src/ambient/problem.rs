//! Why a pod in ambient mode is not as it should be.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::step::Step;

/// How long a problem may last before the pod is broken.
pub(super) const BROKEN_AFTER: Duration = Duration::from_secs(5);

/// What a problem is about: the code in Events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The settings of the pod are not valid, or facts about it are missing.
    Settings,
    /// Its network namespace is not found.
    Namespace,
    /// Its rules cannot be read, written or removed.
    Rules,
    /// No ztunnel serves it.
    Ztunnel,
    /// The host rules for probes cannot be changed.
    Probes,
    /// Its annotation cannot be changed.
    Annotation,
}

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(super) why: String,
    pub(super) remedy: &'static str,
}

/// A problem of a pod that is not solved, and since when it exists.
#[derive(Clone, Debug)]
pub(crate) struct OpenProblem {
    pub(crate) cause: Cause,
    pub(crate) problem: Problem,
    since: Instant,
    is_reported: bool,
}

impl Cause {
    /// Every cause.
    pub(crate) const ALL: [Self; 6] = [
        Self::Settings,
        Self::Namespace,
        Self::Rules,
        Self::Ztunnel,
        Self::Probes,
        Self::Annotation,
    ];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Namespace => "namespace",
            Self::Rules => "rules",
            Self::Ztunnel => "ztunnel",
            Self::Probes => "probes",
            Self::Annotation => "annotation",
        }
    }

    /// What a failure of that step is about.
    pub(super) fn of(step: Step) -> Self {
        match step {
            Step::FindNamespace => Self::Namespace,
            Step::CheckRules | Step::WriteRules | Step::RemoveRules => Self::Rules,
            Step::AddProbes | Step::RemoveProbes => Self::Probes,
            Step::Annotate | Step::RemoveAnnotation => Self::Annotation,
            Step::Serve | Step::Forget | Step::Wait | Step::Drop | Step::Settled => Self::Ztunnel,
        }
    }
}

impl OpenProblem {
    pub(super) fn new(cause: Cause, problem: Problem, since: Instant) -> Self {
        Self {
            cause,
            problem,
            since,
            is_reported: false,
        }
    }

    /// Whether it lasts so long that the pod is broken.
    pub(super) fn is_lasting(&self, now: Instant) -> bool {
        self.since + BROKEN_AFTER <= now
    }

    /// When it has to be reported, if that was not done.
    pub(super) fn report_time(&self) -> Option<Instant> {
        (!self.is_reported).then(|| self.since + BROKEN_AFTER)
    }

    /// Whether it has to be reported now, which happens once.
    pub(super) fn take_report(&mut self, now: Instant) -> bool {
        let is_due = self.report_time().is_some_and(|time| time <= now);
        self.is_reported |= is_due;
        is_due
    }
}

impl fmt::Display for OpenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.problem, self.cause.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.remedy)
    }
}
