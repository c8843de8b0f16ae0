//! What each part of the agent says of itself, and so whether the agent is ready.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// What must hold before the agent is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The plugin's binary and its chain entry are in place.
    Install,
    /// The pods of this node are known.
    Watch,
    /// The plugin can ask on the socket.
    Socket,
}

/// Whether a check holds, with the words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Ready(String),
    /// It does not, or not yet.
    NotReady(String),
}

/// The checks of one agent. Parts write on it, the sockets and the page read it.
#[derive(Debug)]
pub struct Board {
    checks: Mutex<BTreeMap<Check, Standing>>,
    changes: watch::Sender<u64>,
}

impl Check {
    /// Every check, in the order of the work.
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

impl Standing {
    /// Whether it holds.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// The words for people.
    pub fn words(&self) -> &str {
        match self {
            Self::Ready(words) | Self::NotReady(words) => words,
        }
    }
}

impl Board {
    /// A board on which these checks count; none of them holds yet.
    pub fn new(checks: impl IntoIterator<Item = Check>) -> Self {
        let not_yet = |check: Check| (check, Standing::NotReady("not started yet".to_owned()));
        Self {
            checks: Mutex::new(checks.into_iter().map(not_yet).collect()),
            changes: watch::Sender::new(0),
        }
    }

    /// Writes what a part says of itself. Says whether that is new.
    pub fn set(&self, check: Check, standing: Standing) -> bool {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = checks.get_mut(&check) else {
            return false;
        };
        if *place == standing {
            return false;
        }
        *place = standing;
        self.changes.send_modify(|changes| *changes += 1);
        true
    }

    /// What stands for a check; `None` for one that does not count here.
    pub fn get(&self, check: Check) -> Option<Standing> {
        self.all().remove(&check)
    }

    /// Every check that counts.
    pub fn all(&self) -> BTreeMap<Check, Standing> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.clone()
    }

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.all().values().all(Standing::is_ready)
    }

    /// Wakes whoever waits for the next change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
