//! Install, uninstall and status: read, plan and apply until no step is left.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    ConfName, DiskError, NodePaths, NodeState, NodeStatus, Note, Plan, Refusal, Settings, Step,
    UninstallOptions, apply, assess, error_chain, plan_binary_repair, plan_install, plan_uninstall,
    read_account, read_node, read_sandboxes,
};

/// How often the steps are applied before another program is assumed to undo them.
const ROUNDS: usize = 3;

/// How often the configuration directory is read while waiting for a list.
const POLL: Duration = Duration::from_millis(200);

/// Why a node was not changed, or not completely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node cannot be changed as requested; nothing was done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file operation failed; the reported steps are done.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another program undoes the changes.
    #[error(
        "another program changes the same files: it undid {ROUNDS} attempts, the last one at: {0}"
    )]
    Contested(Box<Step>),
}

/// Progress of a running command.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step is done.
    Done(&'a Step),
    /// Waiting for a list to chain into, for this reason.
    Waiting(&'a Refusal),
}

/// What a command did, and what it left unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The completed steps, in order.
    pub steps: Vec<Step>,
    /// What needed no change.
    pub notes: Vec<Note>,
}

impl Error {
    /// What the operator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::Disk(DiskError::Io { source, .. }) => disk_remedy(source.kind()),
            Self::Disk(DiskError::Changed { .. }) => "run the same command again",
            Self::Contested(_) => {
                "use a mode that changes no file of another program: owned-first, except with Cilium's \
                 cni.exclusive=true, or drop-in, only if the runtime has libcni 1.3 or newer; if two meshes \
                 write the same list, uninstall one of them"
            }
        }
    }
}

/// What the operator can do about an error of the system.
fn disk_remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => {
            "run the same command as root: for files of another user with the capabilities DAC_OVERRIDE, \
             CHOWN and FOWNER, and without the immutable attribute of the file (lsattr)"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "make the file system writable, or set another directory, then run the same command again"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free space on the file system, then run the same command again"
        }
        _ => "check the file and its directory, then run the same command again",
    }
}

/// Installs binary and entry. Waits at most `wait` for a list to chain into.
pub fn install(
    settings: &Settings,
    wait: Duration,
    mut report: impl FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let settings = &settings.in_host_root();
    if !settings.plugin_binary.is_file() {
        let path = settings.plugin_binary.clone();
        return Err(Refusal::NoPluginBinary { path }.into());
    }
    // A list that names a missing binary prevents every pod from starting, so this does not wait.
    let repair = plan_binary_repair(settings, &read_for_install(settings)?);
    apply(&repair.steps, |step| report(Progress::Done(step)))?;

    let read_and_plan = || -> Result<Plan, Error> {
        let state = read_for_install(settings)?;
        Ok(plan_install(settings, &state)?)
    };
    wait_for_conf(read_and_plan, wait, &mut report)?;
    apply_until_done(read_and_plan, report)
}

/// Reads all files that an installation depends on.
pub fn read_for_install(settings: &Settings) -> Result<NodeState, DiskError> {
    let mut state = read_node(&settings.paths, Some(&settings.plugin_binary))?;
    if settings.api_server.is_some() {
        state.account = read_account(&settings.account_dir)?;
    }
    Ok(state)
}

/// Removes entry and binary, and restores converted files.
pub fn uninstall(
    paths: &NodePaths,
    options: &UninstallOptions,
    report: impl FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let paths = &paths.in_host_root();
    let read_and_plan = || -> Result<Plan, Error> {
        let mut state = read_node(paths, None)?;
        state.sandboxes = read_sandboxes(&paths.cache_dir)?;
        Ok(plan_uninstall(paths, &state, options))
    };
    apply_until_done(read_and_plan, report)
}

/// Reports whether the plugin is installed. The node's binary is compared with `plugin_binary`.
pub fn status(
    paths: &NodePaths,
    conf_name: Option<&ConfName>,
    plugin_binary: Option<&Path>,
) -> Result<NodeStatus, DiskError> {
    let paths = &paths.in_host_root();
    Ok(assess(paths, conf_name, &read_node(paths, plugin_binary)?))
}

fn wait_for_conf(
    read_and_plan: impl Fn() -> Result<Plan, Error>,
    wait: Duration,
    report: &mut impl FnMut(Progress<'_>),
) -> Result<(), Error> {
    let start = Instant::now();
    let mut reported = None;
    loop {
        match read_and_plan() {
            Err(Error::Refused(refusal)) if refusal.is_transient() && start.elapsed() < wait => {
                let reason = Some(error_chain(&refusal));
                if reason != reported {
                    report(Progress::Waiting(&refusal));
                    reported = reason;
                }
                thread::sleep(POLL.min(wait));
            }
            result => return result.map(drop),
        }
    }
}

/// Applies steps and plans again until no step is left.
///
/// After the pause in which the runtime reloads its configuration, the node is read again: the
/// binary is removed only if still no list names it.
fn apply_until_done(
    read_and_plan: impl Fn() -> Result<Plan, Error>,
    mut report: impl FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let mut plan = read_and_plan()?;
    let mut outcome = Outcome {
        steps: Vec::new(),
        notes: std::mem::take(&mut plan.notes),
    };
    for _ in 0..ROUNDS {
        let is_pause = |step: &Step| matches!(step, Step::AwaitReload { .. });
        if let Some(pause) = plan.steps.iter().position(is_pause) {
            plan.steps.truncate(pause + 1);
        }
        match apply(&plan.steps, |step| {
            report(Progress::Done(step));
            outcome.steps.push(step.clone());
        }) {
            // Another program was faster; the next round reads what it wrote.
            Err(DiskError::Changed { .. }) => {}
            result => result?,
        }
        plan = read_and_plan()?;
        if plan.steps.is_empty() {
            // During the pause, another program may have removed what needed the binary.
            outcome.notes.retain(|note| !note.is_about_kept_binary());
            let kept = plan.notes.into_iter().filter(Note::is_about_kept_binary);
            outcome.notes.extend(kept);
            return Ok(outcome);
        }
    }
    Err(Error::Contested(Box::new(plan.steps.swap_remove(0))))
}
