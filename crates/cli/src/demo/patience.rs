//! Waiting: every wait has a deadline and ends when a signal comes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use thiserror::Error;

/// How often a wait looks at the signals.
const TICK: Duration = Duration::from_millis(50);

/// The signals that end the demo.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

/// How long to wait, and whether a signal ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'interrupt> {
    limit: Duration,
    interrupt: Option<&'interrupt Interrupt>,
}

/// A wait that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Broken {
    #[error("interrupted by a signal")]
    Interrupted,
    #[error("no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    #[error("it ended without an answer")]
    Gone,
}

impl Interrupt {
    /// From now on the signals are noted, and no longer end the process.
    pub(crate) fn watch() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(number).expect("signals have small positive numbers");
            flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        Ok(Self { signal })
    }

    pub(crate) fn came(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// Does what the signal would have done at once, now that everything is put away.
    pub(crate) fn end_as_it_would_have(&self) {
        let number = self.signal.load(Ordering::SeqCst);
        if let Ok(number) = i32::try_from(number)
            && number != 0
        {
            // Where even this fails, the exit code says that something was wrong.
            let _outcome = low_level::emulate_default_handler(number);
        }
    }

    pub(crate) fn patience(&self, limit: Duration) -> Patience<'_> {
        Patience {
            limit,
            interrupt: Some(self),
        }
    }
}

impl Patience<'_> {
    /// For putting things away, which a signal does not break off.
    pub(crate) fn for_clearing(limit: Duration) -> Self {
        Self {
            limit,
            interrupt: None,
        }
    }

    /// The next thing that comes.
    pub(crate) fn receive<T>(self, from: &Receiver<T>) -> Result<T, Broken> {
        let deadline = Instant::now() + self.limit;
        loop {
            if self.interrupt.is_some_and(Interrupt::came) {
                return Err(Broken::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match from.recv_timeout(left.min(TICK)) {
                Ok(thing) => return Ok(thing),
                Err(RecvTimeoutError::Disconnected) => return Err(Broken::Gone),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(Broken::TimedOut(self.limit));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
