//! The node at a glance: *running* or *updating*, and why, as `GET /v1/status` answers it.

use serde::Serialize;

use crate::readiness::{Board, Standing};
use crate::repair::RepairStatus;

/// In a word, as the document's console says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The plugin is enabled on this node.
    Running,
    /// It is not yet, or not any more.
    Updating,
}

/// The node at a glance.
///
/// As JSON this is what `GET /v1/status` answers; fields may be added.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// In a word.
    pub state: State,
    /// Why, in one line for people.
    pub why: String,
    /// The node's name.
    pub node: String,
    /// The agent's version.
    pub version: &'static str,
    /// Each check that counts, in the order of the work.
    pub checks: Vec<CheckStatus>,
    /// How many pods of this node are known.
    pub pods: usize,
    /// Seconds since the pod watch was heard; absent before the first time, and without a watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_age_seconds: Option<f64>,
    /// The back end that this node's kernel and programs allow.
    pub backend: BackendStatus,
    /// How repair stands; absent where this agent repairs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairStatus>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckStatus {
    /// Its name: `install`, `watch` or `socket`.
    pub name: &'static str,
    /// Whether it holds.
    pub ready: bool,
    /// The words for people.
    pub detail: String,
}

/// What was found when the agent started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackendStatus {
    /// Its name; absent where none works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it was chosen, or why none works.
    pub detail: String,
}

/// What a board says.
pub(crate) fn checks(board: &Board) -> Vec<CheckStatus> {
    let checks = board.all().into_iter();
    let status = |(check, standing): (crate::Check, Standing)| CheckStatus {
        name: check.as_str(),
        ready: standing.is_ready(),
        detail: standing.words().to_owned(),
    };
    checks.map(status).collect()
}

/// Running where every check holds; otherwise the first that does not says why.
pub(crate) fn judge(checks: &[CheckStatus]) -> (State, String) {
    match checks.iter().find(|check| !check.ready) {
        None => (State::Running, "every check holds".to_owned()),
        Some(check) => (State::Updating, format!("{}: {}", check.name, check.detail)),
    }
}
