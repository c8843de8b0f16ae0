//! A keeper on a thread of its own, and what it tells.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_cni_installer::{KeepEvent, Settings, Stopper, keep, stop_channel};

/// Long enough for a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(20);

/// A keeper on a thread of its own, and what it tells.
pub(crate) struct Keeper {
    told: Receiver<String>,
    thread: JoinHandle<()>,
    stop_channel: Stopper,
}

impl Keeper {
    pub(crate) fn of(settings: Settings) -> Self {
        let (stop_channel, stop) = stop_channel().unwrap();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            keep(&settings, &stop, |event| drop(tell.send(words(event))));
        });
        Self {
            told,
            thread,
            stop_channel,
        }
    }

    /// Waits until something is told, and gives back all that was told until then.
    pub(crate) fn until(&self, what: &str) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        let mut told = Vec::new();
        while !told.last().is_some_and(|line: &String| line.contains(what)) {
            let left = end.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(line) => told.push(line),
                Err(error) => panic!("`{what}` was not told, but {told:?}: {error}"),
            }
        }
        told
    }

    pub(crate) fn stop(self) -> Vec<String> {
        drop(self.stop_channel);
        self.thread.join().unwrap();
        self.told.try_iter().collect()
    }
}

fn words(event: &KeepEvent<'_>) -> String {
    match event {
        KeepEvent::InPlace => "in place".to_owned(),
        KeepEvent::Done(step) => format!("{}: {step}", step.name()),
        KeepEvent::Refused(refusal) => format!("refused: {refusal}"),
        KeepEvent::Failed(error, _) => format!("failed: {error}"),
        KeepEvent::Contested { path, .. } => format!("contested: {}", path.display()),
        other => format!("{other:?}"),
    }
}
