//! Looking, planning and carrying out, until nothing is left to be done.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    ConfName, DiskError, Found, Leaving, NodePaths, Note, Plan, Refusal, Settings, Status, Step,
    apply, judge, look, look_at_account, look_at_sandboxes, plan_install, plan_rescue,
    plan_uninstall,
};

/// How often the node is looked at and worked on before it is said that someone else works on it.
const ROUNDS: usize = 3;

/// How often a directory is looked at while its list is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Why a node was not changed, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be changed as asked for; nothing was done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk refused; what was told as done is done.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another program undoes what was done.
    #[error(
        "another program changes the same files: after {ROUNDS} rounds this is not lasting: {0}"
    )]
    Contested(Box<Step>),
}

/// What happens while a node is worked on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step is done.
    Done(&'a Step),
    /// There is nothing to chain to yet; this is the reason.
    Waiting(&'a Refusal),
}

/// What was done, and what was left as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// What needed no step.
    pub notes: Vec<Note>,
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::Disk(DiskError::Io { .. }) => {
                "run as a user who may change it, on a file system that is not read-only, then \
                 run the same command again"
            }
            Self::Disk(DiskError::Changed { .. }) => "run the same command again",
            Self::Contested(_) => "stop the other program, then run the same command again",
        }
    }
}

/// Puts binary and entry in place, waiting for the list to chain into for at most `wait`.
pub fn install(
    settings: &Settings,
    wait: Duration,
    mut report: impl FnMut(Event<'_>),
) -> Result<Outcome, Error> {
    if !settings.plugin_binary.is_file() {
        let path = settings.plugin_binary.clone();
        return Err(Refusal::NoPluginBinary { path }.into());
    }
    rescue(settings, &mut report)?;
    let look_and_plan = || -> Result<Plan, Error> {
        let found = survey(settings)?;
        Ok(plan_install(settings, &found)?)
    };
    await_conf(look_and_plan, wait, &mut report)?;
    until_settled(look_and_plan, report)
}

/// Reads all that an installation depends on.
pub fn survey(settings: &Settings) -> Result<Found, DiskError> {
    let mut found = look(&settings.paths, Some(&settings.plugin_binary))?;
    if settings.api_server.is_some() {
        found.account = look_at_account(&settings.account_dir)?;
    }
    Ok(found)
}

/// A list that names a plugin without a binary lets no pod start: that is mended before anything
/// is waited for.
fn rescue(settings: &Settings, report: &mut impl FnMut(Event<'_>)) -> Result<(), Error> {
    let plan = plan_rescue(settings, &survey(settings)?);
    Ok(apply(&plan.steps, |step| report(Event::Done(step)))?)
}

/// Takes entry and binary away and brings back what was converted.
pub fn uninstall(
    paths: &NodePaths,
    leaving: &Leaving,
    report: impl FnMut(Event<'_>),
) -> Result<Outcome, Error> {
    let look_and_plan = || -> Result<Plan, Error> {
        let mut found = look(paths, None)?;
        found.sandboxes = look_at_sandboxes(&paths.cache_dir)?;
        Ok(plan_uninstall(paths, &found, leaving)?)
    };
    until_settled(look_and_plan, report)
}

/// Says what the node is like. `plugin_binary` is what the node's binary is compared with.
pub fn status(
    paths: &NodePaths,
    conf_name: Option<&ConfName>,
    plugin_binary: Option<&Path>,
) -> Result<Status, DiskError> {
    Ok(judge(paths, conf_name, &look(paths, plugin_binary)?))
}

fn await_conf(
    look_and_plan: impl Fn() -> Result<Plan, Error>,
    wait: Duration,
    report: &mut impl FnMut(Event<'_>),
) -> Result<(), Error> {
    let start = Instant::now();
    let mut told = false;
    loop {
        match look_and_plan() {
            Err(Error::Refused(refusal)) if refusal.may_pass() && start.elapsed() < wait => {
                if !told {
                    report(Event::Waiting(&refusal));
                    told = true;
                }
                thread::sleep(LOOK_AGAIN.min(wait));
            }
            result => return result.map(drop),
        }
    }
}

/// After what was written is loaded, the node is looked at again: a binary goes only if even then
/// no list names it, and nothing is called done that another program has undone.
fn until_settled(
    look_and_plan: impl Fn() -> Result<Plan, Error>,
    mut report: impl FnMut(Event<'_>),
) -> Result<Outcome, Error> {
    let mut plan = look_and_plan()?;
    let mut outcome = Outcome {
        steps: Vec::new(),
        notes: std::mem::take(&mut plan.notes),
    };
    for _ in 0..ROUNDS {
        let is_pause = |step: &Step| matches!(step, Step::AwaitReload { .. });
        let pause = plan.steps.iter().position(is_pause);
        plan.steps
            .truncate(pause.map_or(plan.steps.len(), |at| at + 1));
        apply(&plan.steps, |step| {
            report(Event::Done(step));
            outcome.steps.push(step.clone());
        })?;
        plan = look_and_plan()?;
        if plan.steps.is_empty() {
            return Ok(outcome);
        }
    }
    Err(Error::Contested(Box::new(plan.steps.swap_remove(0))))
}
