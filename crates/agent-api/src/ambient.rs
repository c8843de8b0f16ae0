//! Pods in ambient mode, as the agent reports them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::status::BrokenPod;

/// The ambient mode of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AmbientStatus {
    /// How many ztunnels are connected and have received every pod.
    pub ztunnels: usize,
    /// How many pods are in each state.
    pub pods: BTreeMap<AmbientState, usize>,
    /// The first of the broken pods.
    pub broken: Vec<BrokenPod>,
    /// Seconds since all pods were last checked; absent before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_age_seconds: Option<f64>,
}

/// A pod in ambient mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AmbientPod {
    /// How far it is.
    pub state: AmbientState,
    /// What is not as it should be, and what to do about it; absent if nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How far a pod is on its way into ambient mode, or out of it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AmbientState {
    /// ztunnel serves it, and everything else is in place.
    Enrolled,
    /// It will be enrolled after further steps.
    Pending,
    /// A step fails again and again, or ztunnel does not serve the pod.
    Broken,
    /// It does not belong to ambient mode any more, and what exists of it is being removed.
    Leaving,
    /// Whether it belongs to ambient mode is not known, so nothing is changed.
    Undecided,
    /// A state that this program does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl AmbientState {
    /// The states that an agent of this version reports.
    pub const ALL: [Self; 5] = [
        Self::Enrolled,
        Self::Pending,
        Self::Broken,
        Self::Leaving,
        Self::Undecided,
    ];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Pending => "pending",
            Self::Broken => "broken",
            Self::Leaving => "leaving",
            Self::Undecided => "undecided",
            Self::Unknown => "unknown",
        }
    }
}

impl AmbientStatus {
    /// How many pods are in that state.
    pub fn count(&self, state: AmbientState) -> usize {
        self.pods.get(&state).copied().unwrap_or_default()
    }
}

/// One line: the number of ztunnels, the pods in each state, and the age of the last check.
impl fmt::Display for AmbientStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ztunnels connected: {}; pods:", self.ztunnels)?;
        let separators = std::iter::once("").chain(std::iter::repeat(","));
        for (separator, (state, count)) in separators.zip(&self.pods) {
            write!(f, "{separator} {count} {}", state.as_str())?;
        }
        match self.check_age_seconds {
            Some(age) => write!(f, "; checked {age:.0} s ago"),
            None => f.write_str("; not checked yet"),
        }
    }
}

/// The state, and what is not as it should be.
impl fmt::Display for AmbientPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ambient mode: {}", self.state.as_str())?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_is_read_as_it_was_written() {
        let status = AmbientStatus {
            ztunnels: 1,
            pods: AmbientState::ALL.map(|state| (state, 2)).into(),
            broken: vec![BrokenPod::default()],
            check_age_seconds: Some(12.4),
        };
        assert_eq!(
            status.to_string(),
            "ztunnels connected: 1; pods: 2 enrolled, 2 pending, 2 broken, 2 leaving, 2 undecided; \
             checked 12 s ago"
        );
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""enrolled":2"#), "{json}");
        assert_eq!(
            serde_json::from_str::<AmbientStatus>(&json).unwrap(),
            status
        );
    }

    #[test]
    fn states_of_later_versions_are_read() {
        let pod: AmbientPod = serde_json::from_str(r#"{"state": "later"}"#).unwrap();
        assert_eq!(pod, AmbientPod::default());
        let status: AmbientStatus = serde_json::from_str(r#"{"pods": {"later": 3}}"#).unwrap();
        assert_eq!(status.count(AmbientState::Unknown), 3);
        for state in AmbientState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
