//! The decision, and the table of conditions behind it.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::checks::{self, Finding};
use crate::facts::{PodFacts, SidecarKind};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

/// Whether a pod's traffic is to be redirected.
///
/// As JSON it is `{"decision": "redirect", "sidecar": "container"}`, or
/// `{"decision": "skip", "code": …, "reason": …}` with the reason's code and its phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Yes, through the sidecar that stands in the pod in this way.
    Redirect(SidecarKind),
    /// No, and why.
    Skip(SkipReason),
}

/// A fact that the policy asks for and nobody supplied; without it there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingFacts {
    /// The policy selects namespaces by label, and the labels of the pod's namespace are unknown.
    #[error(
        "`exclude_namespace_selector` needs the labels of namespace {}, and the facts about the pod have no `namespace_labels`",
        Quoted(namespace)
    )]
    NamespaceLabels {
        /// The pod's namespace.
        namespace: String,
    },
}

/// One condition of a selection, as it turned out for one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What must hold, as a short phrase that is the same for every pod.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The fact it was decided by.
    pub fact: String,
}

/// Decides whether the pod's traffic is to be redirected, by the first condition that fails.
pub fn select(facts: &PodFacts, policy: &Policy) -> Result<Selection, MissingFacts> {
    for check in checks::of(policy.selection) {
        match (check.find)(facts, policy) {
            Finding::Holds(_) => {}
            Finding::Broken(reason) => return Ok(Selection::Skip(reason)),
            Finding::Unknown(missing) => return Err(missing),
        }
    }
    // Every selection asks for a proxy, so the second arm is a repetition, not a second opinion.
    Ok(match facts.proxy() {
        Some(proxy) => Selection::Redirect(proxy.kind),
        None => Selection::Skip(checks::no_istio_proxy(facts)),
    })
}

/// Every condition of the policy's selection, in its order, with the fact found.
///
/// [`select`] redirects exactly if all of them hold, and otherwise skips for the first that does
/// not. A condition whose facts are missing does not hold.
pub fn conditions(facts: &PodFacts, policy: &Policy) -> Vec<Condition> {
    let checks = checks::of(policy.selection).iter();
    checks
        .map(|check| {
            let (holds, fact) = match (check.find)(facts, policy) {
                Finding::Holds(fact) => (true, fact),
                Finding::Broken(reason) => (false, reason.to_string()),
                Finding::Unknown(missing) => (false, missing.to_string()),
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
    /// The reason of a skip.
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
