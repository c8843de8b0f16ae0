//! When to work at once, and when to let another program have its way.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Step;

/// So many times a file is put right within [`WINDOW`] before another program is seen in it.
const REPAIRS: usize = 3;

/// A program that starts anew may write its list several times; one that writes it on and on, or
/// puts it back whenever it is changed, is another matter.
const WINDOW: Duration = Duration::from_secs(10);

/// The first pause; each further one is twice as long, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(60);

/// A disk that refuses is tried again every eight seconds in the end.
const MOST_DOUBLINGS: u32 = 3;

/// What was done lately, and so what is to be done now. It knows no clock: times are those since
/// the start of whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// What was put in place already. To do that for the first time undoes nobody's work.
    installed: BTreeSet<PathBuf>,
    repairs: VecDeque<(Duration, PathBuf)>,
    yielded: Option<Yielded>,
    failures: u32,
}

/// A pause for the sake of another program.
#[derive(Clone, Debug)]
struct Yielded {
    path: PathBuf,
    until: Duration,
    pause: Duration,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing: all is in place.
    Rest,
    /// Carry the steps out.
    Work,
    /// Leave the node as it is for this long: another program writes this file as well.
    Yield {
        /// The file.
        path: PathBuf,
        /// How long.
        pause: Duration,
    },
    /// Go on leaving it, for what is left of the pause.
    Hold {
        /// How long.
        pause: Duration,
    },
}

impl Patience {
    /// Says what to do about these steps, which are what is wanted at this time.
    pub fn judge(&mut self, now: Duration, steps: &[Step]) -> Move {
        self.forget(now);
        if steps.is_empty() {
            return Move::Rest;
        }
        let paths = || steps.iter().filter_map(Step::path);
        if let Some(path) = paths().find(|path| self.is_contested(now, path)) {
            return self.give_way(now, path.to_owned());
        }
        for path in paths() {
            if !self.installed.insert(path.to_owned()) {
                self.repairs.push_back((now, path.to_owned()));
            }
        }
        Move::Work
    }

    /// The disk refused: says how long to leave it alone.
    pub fn failed(&mut self) -> Duration {
        let pause = doubled(PAUSE, self.failures);
        self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
        pause
    }

    /// The disk did as it was told.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn is_contested(&self, now: Duration, path: &Path) -> bool {
        let times = self.repairs.iter().filter(|(_, repaired)| repaired == path);
        match &self.yielded {
            // After a pause there is one try; what undoes it before long is the same program.
            Some(yielded) if yielded.path == path => {
                now < yielded.until || times.clone().any(|(at, _)| *at >= yielded.until)
            }
            _ => times.count() >= REPAIRS,
        }
    }

    fn give_way(&mut self, now: Duration, path: PathBuf) -> Move {
        let before = self.yielded.as_ref().filter(|before| before.path == path);
        let pause = match before {
            Some(before) if now < before.until => {
                let pause = before.until.saturating_sub(now);
                return Move::Hold { pause };
            }
            Some(before) => doubled(before.pause, 1),
            None => PAUSE,
        };
        self.yielded = Some(Yielded {
            path: path.clone(),
            until: now + pause,
            pause,
        });
        Move::Yield { path, pause }
    }

    /// What lasted longer than the pause before it is no contest any more.
    fn forget(&mut self, now: Duration) {
        let lasted = |yielded: &Yielded| now > yielded.until + WINDOW.max(yielded.pause);
        if self.yielded.as_ref().is_some_and(lasted) {
            self.yielded = None;
            self.repairs.clear();
        }
        let pause = self
            .yielded
            .as_ref()
            .map_or(WINDOW, |yielded| yielded.pause);
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
