//! Decides when to repair at once and when to back off from another program.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Step;

/// Number of repairs of a file within [`WINDOW`] after which another program is assumed to write it.
const REPAIRS: usize = 3;

/// A network plugin that starts may write its list several times. One that keeps writing it is
/// contesting the file.
const WINDOW: Duration = Duration::from_secs(10);

/// The first pause. Each further one is twice as long, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(60);

/// After failures the pause grows to at most eight seconds.
const MOST_DOUBLINGS: u32 = 3;

/// Recent repairs and failures. It has no clock: times are relative to any fixed start.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Files written at least once. The first write of a file is not a repair.
    installed: BTreeSet<PathBuf>,
    repairs: VecDeque<(Duration, PathBuf)>,
    contest: Option<Contest>,
    failures: u32,
}

/// A file that another program writes too.
#[derive(Clone, Debug)]
struct Contest {
    path: PathBuf,
    until: Duration,
    pause: Duration,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// Nothing: everything is in place.
    None,
    /// Apply the steps.
    Apply,
    /// Start a pause: another program writes the same file.
    BackOff {
        /// The file.
        path: PathBuf,
        /// How long.
        pause: Duration,
    },
    /// Continue the current pause.
    Wait {
        /// The remaining time.
        pause: Duration,
    },
}

impl Backoff {
    /// Decides what to do about the steps that are needed at this time.
    pub fn next_action(&mut self, now: Duration, steps: &[Step]) -> NextAction {
        self.forget(now);
        if steps.is_empty() {
            return NextAction::None;
        }
        let paths = || steps.iter().filter_map(Step::path);
        if let Some(path) = paths().find(|path| self.is_contested(now, path)) {
            return self.back_off(now, path.to_owned());
        }
        for path in paths() {
            if !self.installed.insert(path.to_owned()) {
                self.repairs.push_back((now, path.to_owned()));
            }
        }
        NextAction::Apply
    }

    /// Records a failed file operation and returns how long to wait.
    pub fn failed(&mut self) -> Duration {
        let pause = doubled(PAUSE, self.failures);
        self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
        pause
    }

    /// Records that all steps were applied.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn is_contested(&self, now: Duration, path: &Path) -> bool {
        let times = self.repairs.iter().filter(|(_, repaired)| repaired == path);
        match &self.contest {
            // After a pause there is one attempt. If it is undone, the contest continues.
            Some(contest) if contest.path == path => {
                now < contest.until || times.clone().any(|(at, _)| *at >= contest.until)
            }
            _ => times.count() >= REPAIRS,
        }
    }

    fn back_off(&mut self, now: Duration, path: PathBuf) -> NextAction {
        let before = self.contest.as_ref().filter(|before| before.path == path);
        let pause = match before {
            Some(before) if now < before.until => {
                let pause = before.until.saturating_sub(now);
                return NextAction::Wait { pause };
            }
            Some(before) => doubled(before.pause, 1),
            None => PAUSE,
        };
        self.contest = Some(Contest {
            path: path.clone(),
            until: now + pause,
            pause,
        });
        NextAction::BackOff { path, pause }
    }

    /// Ends a contest after a repair has lasted longer than the pause before it.
    fn forget(&mut self, now: Duration) {
        let lasted = |contest: &Contest| now > contest.until + WINDOW.max(contest.pause);
        if self.contest.as_ref().is_some_and(lasted) {
            self.contest = None;
            self.repairs.clear();
        }
        let pause = self
            .contest
            .as_ref()
            .map_or(WINDOW, |contest| contest.pause);
        let window = WINDOW.max(2 * pause);
        self.repairs
            .retain(|(at, _)| now.saturating_sub(*at) < window);
    }
}

fn doubled(pause: Duration, times: u32) -> Duration {
    pause
        .saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
        .min(LONGEST)
}
