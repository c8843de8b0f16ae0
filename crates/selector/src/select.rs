//! Selects pods, and lists the conditions that decide.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::checks::{self, CheckResult};
use crate::facts::{PodFacts, SidecarKind};
use crate::istio;
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

/// Whether a pod's traffic must be redirected.
///
/// As JSON it is `{"decision": "redirect", "sidecar": "container"}`, or
/// `{"decision": "skip", "code": …, "reason": …}` with the reason's code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Redirect it through this kind of sidecar.
    Redirect(SidecarKind),
    /// Skip it for this reason.
    Skip(SkipReason),
}

/// The facts lack something that the policy needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingFacts {
    /// The policy excludes namespaces by label, but the labels of the pod's namespace are unknown.
    #[error(
        "`exclude_namespace_selector` requires the labels of namespace {}, but the facts about the pod have no `namespace_labels`",
        Quoted(namespace)
    )]
    NamespaceLabels {
        /// The pod's namespace.
        namespace: String,
    },
    /// The type of the proxy decides, but its arguments are unknown.
    #[error(
        "the type of the proxy is not known: annotation `{}` is {}, which is none of Istio's own templates",
        istio::TEMPLATES,
        Quoted(templates)
    )]
    ProxyType {
        /// The pod's injection templates.
        templates: String,
    },
}

/// A condition, evaluated for one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What must hold, as a short phrase that is the same for every pod.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The fact that decides it.
    pub fact: String,
}

/// Decides whether the pod's traffic must be redirected. The first condition that fails is the
/// reason for a skip.
pub fn select(facts: &PodFacts, policy: &Policy) -> Result<Selection, MissingFacts> {
    for check in checks::of(policy.selection) {
        match (check.run)(facts, policy) {
            CheckResult::Holds(_) => {}
            CheckResult::Fails(reason) => return Ok(Selection::Skip(reason)),
            CheckResult::Unknown(missing) => return Err(missing),
        }
    }
    // Every mode requires a proxy, so the second arm is never reached.
    Ok(match facts.proxy() {
        Some(proxy) => Selection::Redirect(proxy.kind),
        None => Selection::Skip(checks::no_istio_proxy(facts)),
    })
}

/// Evaluates every condition of the policy's selection mode, in order.
///
/// [`select`] redirects if and only if all of them hold. A condition with missing facts does not
/// hold.
pub fn conditions(facts: &PodFacts, policy: &Policy) -> Vec<Condition> {
    checks::of(policy.selection)
        .iter()
        .map(|check| {
            let (holds, fact) = match (check.run)(facts, policy) {
                CheckResult::Holds(fact) => (true, fact),
                CheckResult::Fails(reason) => (false, reason.to_string()),
                CheckResult::Unknown(missing) => (false, missing.to_string()),
            };
            Condition {
                name: check.name,
                holds,
                fact,
            }
        })
        .collect()
}

impl Selection {
    /// The reason for a skip.
    pub fn reason(&self) -> Option<&SkipReason> {
        match self {
            Self::Redirect(_) => None,
            Self::Skip(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(SidecarKind::Container) => {
                f.write_str("redirect, through a sidecar container")
            }
            Self::Redirect(SidecarKind::Native) => {
                f.write_str("redirect, through a native sidecar")
            }
            Self::Skip(reason) => write!(f, "skip, {reason}"),
        }
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Redirect(sidecar) => {
                let mut object = serializer.serialize_struct("Selection", 2)?;
                object.serialize_field("decision", "redirect")?;
                object.serialize_field("sidecar", sidecar)?;
                object.end()
            }
            Self::Skip(reason) => {
                let mut object = serializer.serialize_struct("Selection", 3)?;
                object.serialize_field("decision", "skip")?;
                object.serialize_field("code", reason.code())?;
                object.serialize_field("reason", &reason.to_string())?;
                object.end()
            }
        }
    }
}
