//! What has to happen next for a pod. Pure: the same state gives the same step.
//!
//! Enrolling writes the rules first, so that nothing leaves the pod before ztunnel serves it, and the
//! annotation last, because istiod publishes a pod with the annotation as one that ztunnel serves.
//! Leaving is the reverse, and removes the annotation last too.

/// What a pod should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// ztunnel serves it.
    Enrolled,
    /// It runs without ambient mode.
    Left,
    /// It has ended: nothing of it exists in its namespace or in the API server.
    Ended,
    /// Not known, for example because the labels of its namespace are not. Nothing changes.
    Undecided,
}

/// Whether a part of an enrolment exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It has to be read.
    Unknown,
    /// It is as it should be in an enrolled pod.
    Present,
    /// It does not exist, or is different.
    Missing,
}

/// The network namespace of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// It has not been found.
    Unknown,
    /// It is open, and has the addresses of the pod.
    Alive,
    /// It is open, and does not have the addresses of the pod any more: its sandbox has ended.
    Dead,
}

/// What ztunnel knows about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// Nothing, and it is not asked to serve it.
    Unknown,
    /// It is asked to keep the pod if it knows it.
    Kept,
    /// It is asked to serve the pod, and has not answered; or no ztunnel is connected.
    Awaited,
    /// It cannot serve it.
    Refused,
    /// It serves it.
    Served,
    /// It is asked to stop serving it, and has not answered.
    Leaving,
}

/// What exists of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actual {
    pub(crate) namespace: Namespace,
    /// The rules in the namespace.
    pub(crate) rules: Part,
    pub(crate) proxy: Proxy,
    /// The addresses of the pod in the set for probes.
    pub(crate) probes: Part,
    pub(crate) annotation: Part,
}

impl Actual {
    /// Whether ztunnel serves the pod and everything else is in place. Rules that are being checked are.
    pub(crate) fn is_served(self) -> bool {
        self.namespace == Namespace::Alive
            && self.rules != Part::Missing
            && self.proxy == Proxy::Served
            && self.probes == Part::Present
            && self.annotation == Part::Present
    }
}

/// One change, or one question. It can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    FindNamespace,
    CheckRules,
    WriteRules,
    RemoveRules,
    /// Ask ztunnel to serve the pod.
    Serve,
    /// Ask ztunnel to stop serving it.
    Forget,
    AddProbes,
    RemoveProbes,
    Annotate,
    RemoveAnnotation,
    /// Nothing of the enrolment is left.
    Drop,
    /// Wait for ztunnel's answer.
    Wait,
    /// Everything is as it should be.
    Settled,
}

/// The next step for a pod.
pub(crate) fn next(goal: Goal, actual: Actual) -> Step {
    match goal {
        Goal::Enrolled => enrol(actual),
        Goal::Left => leave(actual),
        Goal::Ended => end(actual),
        // ztunnel would stop serving a pod that is missing from its snapshot.
        Goal::Undecided if actual.proxy == Proxy::Unknown => Step::Serve,
        Goal::Undecided => Step::Settled,
    }
}

fn enrol(actual: Actual) -> Step {
    match (actual.namespace, actual.proxy) {
        (Namespace::Alive, _) => {}
        // A namespace without listeners would make the whole ztunnel unready.
        (Namespace::Dead, Proxy::Kept | Proxy::Awaited | Proxy::Refused | Proxy::Served) => {
            return Step::Forget;
        }
        (Namespace::Unknown, Proxy::Unknown) => return Step::Serve,
        (Namespace::Unknown | Namespace::Dead, _) => return Step::FindNamespace,
    }
    match actual.rules {
        Part::Unknown => return Step::CheckRules,
        Part::Missing => return Step::WriteRules,
        Part::Present => {}
    }
    match actual.proxy {
        Proxy::Unknown | Proxy::Kept | Proxy::Refused | Proxy::Leaving => return Step::Serve,
        Proxy::Awaited => return Step::Wait,
        Proxy::Served => {}
    }
    match (actual.probes, actual.annotation) {
        (Part::Unknown | Part::Missing, _) => Step::AddProbes,
        (Part::Present, Part::Unknown | Part::Missing) => Step::Annotate,
        (Part::Present, Part::Present) => Step::Settled,
    }
}

fn leave(actual: Actual) -> Step {
    if actual.probes != Part::Missing {
        return Step::RemoveProbes;
    }
    match (actual.namespace, actual.rules) {
        (Namespace::Dead, _) | (_, Part::Missing) => {}
        // As long as its rules exist, the pod needs ztunnel.
        _ if actual.proxy == Proxy::Unknown => return Step::Serve,
        (Namespace::Unknown, _) => return Step::FindNamespace,
        (Namespace::Alive, _) => return Step::RemoveRules,
    }
    stop_serving(actual).unwrap_or(if actual.annotation == Part::Missing {
        Step::Drop
    } else {
        Step::RemoveAnnotation
    })
}

fn end(actual: Actual) -> Step {
    if actual.probes != Part::Missing {
        return Step::RemoveProbes;
    }
    stop_serving(actual).unwrap_or(Step::Drop)
}

/// `None` if no ztunnel knows the pod.
fn stop_serving(actual: Actual) -> Option<Step> {
    match actual.proxy {
        Proxy::Unknown => None,
        Proxy::Leaving => Some(Step::Wait),
        Proxy::Kept | Proxy::Awaited | Proxy::Refused | Proxy::Served => Some(Step::Forget),
    }
}

#[cfg(test)]
mod tests;
