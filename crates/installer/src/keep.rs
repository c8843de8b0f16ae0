//! Keeping what was installed in place: watched, put back within a second, without a fight.

mod patience;
mod stamps;
mod watch;

pub use patience::{Move, Patience};

use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watch::Watch;

use crate::{
    Chaining, DiskError, Found, Plan, Refusal, Settings, Step, apply, plan_install, plan_rescue,
    survey,
};

/// How often the node is looked at even if nothing has been seen to change.
const RESYNC: Duration = Duration::from_secs(30);

/// How often a binary that is gone is looked for while a list is left to another program.
const RESCUE: Duration = Duration::from_secs(1);

/// Ends a keeper when it is dropped.
#[derive(Debug)]
pub struct Stopper {
    _open: PipeWriter,
}

/// By which a keeper learns that it is to end.
#[derive(Debug)]
pub struct Stop(PipeReader);

/// What a keeper says, in the order of what happens. Those that [`KeepEvent::readiness`] answers
/// for say whether the plugin is in place.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeepEvent<'a> {
    /// Binary and entry are in place.
    InPlace,
    /// A step is done.
    Done(&'a Step),
    /// The node cannot be changed as asked for; it is looked at again when something changes.
    Refused(&'a Refusal),
    /// The disk refused, or another program was quicker; it is tried again after the pause.
    Failed(&'a DiskError, Duration),
    /// Another program writes the same file, and the pause is to let it have its way.
    Contested {
        /// The file.
        path: &'a Path,
        /// What is left undone for so long.
        pause: Duration,
    },
    /// The system has no more watches, so the directories are looked at twice a second.
    Polling(&'a io::Error),
}

impl KeepEvent<'_> {
    /// Does it go away by itself, when the cluster's own network plugin is started?
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.may_pass())
    }

    /// Whether the plugin is in place, with the reason why not; `None` for what does not tell.
    pub fn readiness(&self) -> Option<Result<(), String>> {
        match self {
            Self::InPlace => Some(Ok(())),
            Self::Done(_) | Self::Polling(_) => None,
            Self::Refused(refusal) => Some(Err(format!("{refusal}; {}", refusal.remedy()))),
            Self::Failed(error, _) => Some(Err(crate::one_line(*error))),
            Self::Contested { path, pause } => Some(Err(format!(
                "another program writes {} as well; waiting {pause:?}",
                path.display()
            ))),
        }
    }
}

/// A stopper, and what it stops.
pub fn stopper() -> io::Result<(Stopper, Stop)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stopper { _open: writer }, Stop(reader)))
}

/// Installs, and keeps what was installed in place until it is stopped; what is in place stays in
/// place then. Nothing ends it but the stopper: what the node refuses is told and tried again.
///
/// It blocks, so it is for a thread of its own. That thread may end with the process at any
/// instruction, as every installation may.
pub fn keep(settings: &Settings, stop: &Stop, mut report: impl FnMut(&KeepEvent<'_>)) {
    let start = Instant::now();
    let mut watch = Watch::new();
    let mut patience = Patience::default();
    loop {
        // Watched before it is looked at, so that no change falls in between.
        if let Some(error) = watch.renew(&watched(settings)) {
            report(&KeepEvent::Polling(&error));
        }
        let rest = round(settings, &mut patience, start, &mut report);
        let stopped = match rest {
            Rest::None => watch::is_stopped(&stop.0),
            Rest::UntilChange => watch.wait(&stop.0, RESYNC),
            Rest::Pause(pause) => watch::pause(&stop.0, pause),
        };
        if stopped {
            return;
        }
    }
}

/// What follows a look at the node.
enum Rest {
    None,
    UntilChange,
    Pause(Duration),
}

fn round(
    settings: &Settings,
    patience: &mut Patience,
    start: Instant,
    report: &mut impl FnMut(&KeepEvent<'_>),
) -> Rest {
    let fail =
        |patience: &mut Patience, error: DiskError, report: &mut dyn FnMut(&KeepEvent<'_>)| {
            let pause = patience.failed();
            report(&KeepEvent::Failed(&error, pause));
            Rest::Pause(pause)
        };
    let found = match survey(settings) {
        Ok(found) => found,
        Err(error) => return fail(patience, error, report),
    };
    let (plan, refusal) = plan(settings, &found);
    match patience.judge(start.elapsed(), &plan.steps) {
        Move::Rest => {
            report(
                &refusal
                    .as_ref()
                    .map_or(KeepEvent::InPlace, KeepEvent::Refused),
            );
            Rest::UntilChange
        }
        Move::Yield { path, pause } => {
            let path = &path;
            report(&KeepEvent::Contested { path, pause });
            rescue(settings, &found, pause, report)
        }
        Move::Hold { pause } => rescue(settings, &found, pause, report),
        Move::Work => match apply(&plan.steps, |step| report(&KeepEvent::Done(step))) {
            Ok(()) => {
                patience.succeeded();
                Rest::None
            }
            // Someone was quicker: the next look sees what they wrote.
            Err(DiskError::Changed { .. }) => Rest::None,
            Err(error) => fail(patience, error, report),
        },
    }
}

/// While a list is left to another program, it must not name a binary that is gone: that is looked
/// for every second.
fn rescue(
    settings: &Settings,
    found: &Found,
    pause: Duration,
    report: &mut impl FnMut(&KeepEvent<'_>),
) -> Rest {
    let steps = plan_rescue(settings, found).steps;
    if let Err(error) = apply(&steps, |step| report(&KeepEvent::Done(step))) {
        report(&KeepEvent::Failed(&error, pause));
    }
    Rest::Pause(pause.min(RESCUE))
}

/// What is to be done, and why it is not all.
fn plan(settings: &Settings, found: &Found) -> (Plan, Option<Refusal>) {
    if !settings.plugin_binary.is_file() {
        let path = settings.plugin_binary.clone();
        return (Plan::default(), Some(Refusal::NoPluginBinary { path }));
    }
    match plan_install(settings, found) {
        Ok(plan) => (plan, None),
        Err(refusal) => (plan_rescue(settings, found), Some(refusal)),
    }
}

/// The directories in which something of ours can be undone, or asks to be done.
fn watched(settings: &Settings) -> Vec<PathBuf> {
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
            // A list that is a symbolic link changes where it points to.
            let target = std::fs::canonicalize(entry.path()).ok();
            directories.extend(target.and_then(|target| target.parent().map(Path::to_owned)));
        } else if settings.chaining == Chaining::DropIn && kind.is_some_and(|kind| kind.is_dir()) {
            directories.push(entry.path());
        }
    }
    directories
}
