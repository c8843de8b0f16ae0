//! Keeps an installation in place: watches it and repairs what other programs change.

mod backoff;
mod stamps;
mod watch;

pub use backoff::{Backoff, NextAction};

use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watch::Watch;

use crate::{
    Chaining, DiskError, NodeState, Note, Plan, Refusal, Settings, Step, apply, error_chain,
    plan_binary_repair, plan_install, read_for_install,
};

/// How often the node is read without a reported change.
const RESYNC: Duration = Duration::from_secs(30);

/// How often the binary is checked while backing off.
const BINARY_CHECK: Duration = Duration::from_secs(1);

/// Stops [`keep`] when it is dropped.
#[derive(Debug)]
pub struct Stopper {
    _open: PipeWriter,
}

/// The receiving end of a [`Stopper`].
#[derive(Debug)]
pub struct StopSignal(PipeReader);

/// What [`keep`] reports. [`KeepEvent::readiness`] tells which events change whether the plugin is
/// in place.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeepEvent<'a> {
    /// Binary and entry are in place.
    InPlace,
    /// A step is done.
    Done(&'a Step),
    /// The node cannot be changed as requested; it is read again after a change.
    Refused(&'a Refusal),
    /// A file operation failed; it is tried again after this time.
    Failed(&'a DiskError, Duration),
    /// Backing off, because another program writes the same file.
    Contested {
        /// The file.
        path: &'a Path,
        /// How long.
        pause: Duration,
    },
    /// Binary and entry are in place, but the runtime calls another plugin, whose copy of the network has no
    /// entry.
    NotCalled(&'a Note),
    /// Why the runtime may not call the plugin, or start no pod; empty once there is no reason any more.
    Warnings(&'a [Note]),
    /// inotify failed, so the directories are polled twice a second.
    Polling(&'a io::Error),
}

impl KeepEvent<'_> {
    /// Whether starting the cluster's network plugin can resolve it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_transient())
    }

    /// Whether the plugin is in place, or why it is not; `None` if the event does not change that.
    pub fn readiness(&self) -> Option<Result<(), String>> {
        match self {
            Self::InPlace => Some(Ok(())),
            Self::Done(_) | Self::Warnings(_) | Self::Polling(_) => None,
            Self::NotCalled(note) => Some(Err(note.to_string())),
            Self::Refused(refusal) => {
                let why = error_chain(*refusal);
                Some(Err(format!("{why}; {}", refusal.remedy())))
            }
            Self::Failed(error, _) => Some(Err(error_chain(*error))),
            Self::Contested { path, pause } => Some(Err(format!(
                "another program writes {} as well; trying again in {pause:?}",
                path.display()
            ))),
        }
    }
}

/// Creates a stopper and its receiving end.
pub fn stop_channel() -> io::Result<(Stopper, StopSignal)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stopper { _open: writer }, StopSignal(reader)))
}

/// Installs, and keeps the installation in place until it is stopped. Stopping removes nothing.
///
/// Errors do not end it; they are reported and tried again. It blocks, so run it in a thread of its
/// own. The process may end at any time.
pub fn keep(settings: &Settings, stop: &StopSignal, mut report: impl FnMut(&KeepEvent<'_>)) {
    let start = Instant::now();
    let mut watch = Watch::new();
    let mut backoff = Backoff::default();
    let mut warnings = Vec::new();
    loop {
        // Watch before reading, so that no change is missed in between.
        if let Some(error) = watch.renew(&watched(settings)) {
            report(&KeepEvent::Polling(&error));
        }
        let next = round(settings, &mut backoff, &mut warnings, start, &mut report);
        let stopped = match next {
            NextRound::Now => watch::is_stopped(&stop.0),
            NextRound::OnChange => watch.wait(&stop.0, RESYNC),
            NextRound::After(pause) => watch::pause(&stop.0, pause),
        };
        if stopped {
            return;
        }
    }
}

/// When to read the node again.
enum NextRound {
    Now,
    OnChange,
    After(Duration),
}

fn round(
    settings: &Settings,
    backoff: &mut Backoff,
    warnings: &mut Vec<Note>,
    start: Instant,
    report: &mut impl FnMut(&KeepEvent<'_>),
) -> NextRound {
    let settings = &settings.in_host_root();
    let state = match read_for_install(settings) {
        Ok(state) => state,
        Err(error) => return failed(&error, backoff, report),
    };
    let (mut plan, refusal) = plan(settings, &state);
    plan.notes.retain(Note::is_warning);
    let (not_called, notes): (Vec<_>, _) = std::mem::take(&mut plan.notes)
        .into_iter()
        .partition(|note| matches!(note, Note::StaleNetwork { .. }));
    if *warnings != notes {
        report(&KeepEvent::Warnings(&notes));
        *warnings = notes;
    }
    match backoff.next_action(start.elapsed(), &plan.steps) {
        NextAction::None => {
            let not_called = not_called.first().map(KeepEvent::NotCalled);
            let refused = refusal.as_ref().map(KeepEvent::Refused);
            report(&refused.or(not_called).unwrap_or(KeepEvent::InPlace));
            NextRound::OnChange
        }
        NextAction::BackOff { path, pause } => {
            let path = &path;
            report(&KeepEvent::Contested { path, pause });
            repair_binary(settings, &state, pause, report)
        }
        NextAction::Wait { pause } => repair_binary(settings, &state, pause, report),
        NextAction::Apply => match apply(&plan.steps, |step| report(&KeepEvent::Done(step))) {
            Ok(()) => {
                backoff.succeeded();
                NextRound::Now
            }
            // Another program was faster; the next round reads what it wrote.
            Err(DiskError::Changed { .. }) => NextRound::Now,
            Err(error) => failed(&error, backoff, report),
        },
    }
}

fn failed(
    error: &DiskError,
    backoff: &mut Backoff,
    report: &mut impl FnMut(&KeepEvent<'_>),
) -> NextRound {
    let pause = backoff.failed();
    report(&KeepEvent::Failed(error, pause));
    NextRound::After(pause)
}

/// Repairs the binary while backing off, because no pod can start if a list names a missing binary.
fn repair_binary(
    settings: &Settings,
    state: &NodeState,
    pause: Duration,
    report: &mut impl FnMut(&KeepEvent<'_>),
) -> NextRound {
    let steps = plan_binary_repair(settings, state).steps;
    if let Err(error) = apply(&steps, |step| report(&KeepEvent::Done(step))) {
        report(&KeepEvent::Failed(&error, pause));
    }
    NextRound::After(pause.min(BINARY_CHECK))
}

/// The steps, and why they are not those of a complete installation.
fn plan(settings: &Settings, state: &NodeState) -> (Plan, Option<Refusal>) {
    if !settings.plugin_binary.is_file() {
        let path = settings.plugin_binary.clone();
        return (Plan::default(), Some(Refusal::NoPluginBinary { path }));
    }
    match plan_install(settings, state) {
        Ok(plan) => (plan, None),
        Err(refusal) => (plan_binary_repair(settings, state), Some(refusal)),
    }
}

/// The directories whose changes can require a step.
fn watched(settings: &Settings) -> Vec<PathBuf> {
    let settings = settings.in_host_root();
    let paths = &settings.paths;
    let mut directories = vec![paths.conf_dir.clone(), paths.bin_dir.clone()];
    if settings.api_server.is_some() {
        directories.push(settings.account_dir.clone());
        directories.push(paths.run_dir.clone());
    }
    let entries = std::fs::read_dir(&paths.conf_dir).into_iter().flatten();
    for entry in entries.flatten() {
        let kind = entry.file_type().ok();
        if kind.is_some_and(|kind| kind.is_symlink()) {
            // For a symbolic link, the target changes: a directory, or a file in one.
            match std::fs::canonicalize(entry.path()) {
                Ok(target) if target.is_dir() => directories.push(target),
                Ok(target) => directories.extend(target.parent().map(Path::to_owned)),
                Err(_) => {}
            }
        } else if settings.chaining == Chaining::DropIn && kind.is_some_and(|kind| kind.is_dir()) {
            directories.push(entry.path());
        }
    }
    directories
}
