//! The agent's checks: whether each passes, and so whether the agent is ready.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_cni_agent_api::{AgentState, CheckStatus};
use tokio::sync::watch;

/// A condition for the agent to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The plugin's binary and its entry are installed.
    Install,
    /// The pods of this node are known.
    Watch,
    /// The socket accepts requests.
    Socket,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckState {
    /// Whether it passes.
    pub ready: bool,
    /// Details, in one line.
    pub detail: String,
}

/// The checks of one agent. Its parts set them; the sockets and the page read them.
#[derive(Debug)]
pub struct Readiness {
    checks: Mutex<BTreeMap<Check, CheckState>>,
    degradations: Mutex<BTreeMap<&'static str, String>>,
    changes: watch::Sender<()>,
}

impl Check {
    /// Every check, in the order in which they pass at start.
    pub const ALL: [Self; 3] = [Self::Install, Self::Watch, Self::Socket];

    /// Its name, as in `/readyz/NAME`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Watch => "watch",
            Self::Socket => "socket",
        }
    }

    /// The check of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.as_str() == name)
    }
}

impl CheckState {
    /// A check that passes.
    pub fn ready(detail: impl Into<String>) -> Self {
        Self {
            ready: true,
            detail: detail.into(),
        }
    }

    /// A check that does not pass.
    pub fn not_ready(detail: impl Into<String>) -> Self {
        Self {
            ready: false,
            detail: detail.into(),
        }
    }
}

impl Readiness {
    /// These checks, none of which passes yet. Other checks are ignored.
    pub fn new(checks: impl IntoIterator<Item = Check>) -> Self {
        let initial = |check| (check, CheckState::not_ready("not started yet"));
        Self {
            checks: Mutex::new(checks.into_iter().map(initial).collect()),
            degradations: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// Sets the state of a check. Returns whether it changed.
    pub fn set(&self, check: Check, state: CheckState) -> bool {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        match checks.get_mut(&check) {
            Some(current) if *current != state => *current = state,
            _ => return false,
        }
        self.changes.send_replace(());
        true
    }

    /// The state of a check; `None` if this agent does not have it.
    pub fn get(&self, check: Check) -> Option<CheckState> {
        self.all().remove(&check)
    }

    /// Whether every check passes.
    pub fn is_ready(&self) -> bool {
        self.all().values().all(|state| state.ready)
    }

    /// Waits until the check passes; for ever if this agent does not have it.
    pub(crate) async fn wait_for(&self, check: Check) {
        let passes = |(): &()| self.get(check).is_some_and(|state| state.ready);
        // The sender lives as long as `self`.
        drop(self.changes().wait_for(passes).await);
    }

    /// Every check, as `GET /v1/status` returns them.
    pub fn statuses(&self) -> Vec<CheckStatus> {
        self.all()
            .into_iter()
            .map(|(check, CheckState { ready, detail })| CheckStatus {
                name: check.as_str().to_owned(),
                ready,
                detail,
            })
            .collect()
    }

    /// Sets why a part of the agent works less well than it should, or that it works well again.
    /// Returns whether this changed. A degraded agent stays ready.
    pub fn set_degraded(&self, part: &'static str, why: Option<&str>) -> bool {
        let mut all = self
            .degradations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = match why {
            Some(why) => all.insert(part, why.to_owned()),
            None => all.remove(part),
        };
        before.as_deref() != why
    }

    /// Why parts of the agent work less well than they should, one line for each.
    pub fn degradations(&self) -> Vec<String> {
        let all = self
            .degradations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.values().map(|why| format!("degraded: {why}")).collect()
    }

    /// Receives a notification of each change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn all(&self) -> BTreeMap<Check, CheckState> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.clone()
    }
}

/// The state of the node, and the first check that does not pass as the reason. A degradation does not
/// make the agent unready, since the plugin gets answers; it is reported.
pub(crate) fn summary(checks: &[CheckStatus], degradations: &[String]) -> (AgentState, String) {
    match checks.iter().find(|check| !check.ready) {
        None => {
            let why = degradations
                .first()
                .map_or("every check passes", String::as_str);
            (AgentState::Running, why.to_owned())
        }
        Some(check) => (
            AgentState::Updating,
            format!("{}: {}", check.name, check.detail),
        ),
    }
}

/// What a watch of that age means.
pub(crate) fn stale_watch(age: Duration) -> String {
    format!(
        "degraded: the API server has sent nothing for {} s, so facts about pods may be out of date",
        age.as_secs()
    )
}
