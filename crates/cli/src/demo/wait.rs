//! Waits with a time limit, which a signal interrupts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use thiserror::Error;

/// How often a wait checks for signals.
const TICK: Duration = Duration::from_millis(50);

/// The signals that interrupt the demo.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

/// A time limit, and the signals that interrupt the wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait<'interrupt> {
    limit: Duration,
    interrupt: Option<&'interrupt Interrupt>,
}

/// A wait without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum WaitError {
    #[error("interrupted by a signal")]
    Interrupted,
    #[error("no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    #[error("exited without an answer")]
    Exited,
}

impl Interrupt {
    /// From now on the signals are recorded, and do not end the process.
    pub(crate) fn watch() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(number).expect("signals have small positive numbers");
            flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        Ok(Self { signal })
    }

    /// Whether a signal arrived.
    pub(crate) fn arrived(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// Ends the process with the signal that arrived.
    pub(crate) fn end_process(&self) {
        let number = self.signal.load(Ordering::SeqCst);
        if let Ok(number) = i32::try_from(number)
            && number != 0
        {
            // If this fails, the exit code still reports a failure.
            let _result = low_level::emulate_default_handler(number);
        }
    }

    pub(crate) fn wait(&self, limit: Duration) -> Wait<'_> {
        Wait {
            limit,
            interrupt: Some(self),
        }
    }
}

impl Wait<'_> {
    /// A wait that signals do not interrupt, for the removal.
    pub(crate) fn uninterrupted(limit: Duration) -> Self {
        Self {
            limit,
            interrupt: None,
        }
    }

    pub(crate) fn limit(self) -> Duration {
        self.limit
    }

    pub(crate) fn is_interrupted(self) -> bool {
        self.interrupt.is_some_and(Interrupt::arrived)
    }

    /// Waits for the next value.
    pub(crate) fn receive<T>(self, from: &Receiver<T>) -> Result<T, WaitError> {
        let deadline = Instant::now() + self.limit;
        loop {
            if self.is_interrupted() {
                return Err(WaitError::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match from.recv_timeout(left.min(TICK)) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err(WaitError::Exited),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(WaitError::TimedOut(self.limit));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
