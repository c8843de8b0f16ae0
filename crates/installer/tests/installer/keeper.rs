//! Runs `keep` in a thread and collects its events.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_cni_installer::{KeepEvent, Settings, Stopper, keep, stop_channel};

/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// `keep` in a thread, and its events as text.
pub(crate) struct Keeper {
    events: Receiver<String>,
    thread: JoinHandle<()>,
    stopper: Stopper,
}

impl Keeper {
    pub(crate) fn of(settings: Settings) -> Self {
        let (stopper, stop) = stop_channel().unwrap();
        let (sender, events) = channel();
        let thread = std::thread::spawn(move || {
            keep(&settings, &stop, |event| drop(sender.send(text_of(event))));
        });
        Self {
            events,
            thread,
            stopper,
        }
    }

    /// Waits for an event that contains `what`, and returns all events up to it.
    pub(crate) fn until(&self, what: &str) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(what)) {
            let left = end.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no event contains `{what}`: {seen:?}: {error}"),
            }
        }
        seen
    }

    pub(crate) fn stop(self) -> Vec<String> {
        drop(self.stopper);
        self.thread.join().unwrap();
        self.events.try_iter().collect()
    }
}

fn text_of(event: &KeepEvent<'_>) -> String {
    match event {
        KeepEvent::InPlace => "in place".to_owned(),
        KeepEvent::Done(step) => format!("{}: {step}", step.name()),
        KeepEvent::Refused(refusal) => format!("refused: {refusal}"),
        KeepEvent::Failed(error, _) => format!("failed: {error}"),
        KeepEvent::Contested { path, .. } => format!("contested: {}", path.display()),
        KeepEvent::NotCalled(note) => format!("not called: {note}"),
        KeepEvent::Warnings(notes) => format!("{} warnings", notes.len()),
        other => format!("{other:?}"),
    }
}
