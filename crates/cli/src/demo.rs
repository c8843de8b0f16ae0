//! `demo`: shows on this machine how a pod's traffic is redirected, from the runtime's calls to the
//! documented dump. Everything that it creates is in its own namespaces.

mod dump;
mod error;
mod keep;
mod node;
mod pod;
mod process;
mod program;
mod report;
mod requests;
mod runtime;
mod sandbox;
mod sidecar;
mod steps;
mod tools;
mod wait;
pub(crate) mod workload;

use crate::arguments::DemoArguments;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use error::DemoError;
use report::Report;
use sidecar::Sidecar;
use tools::Tools;
use wait::Interrupt;

/// Runs the demo, or removes one that was kept.
pub(crate) fn run(arguments: &DemoArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if arguments.cleanup {
        return clean_up(console);
    }
    let interrupt = Interrupt::watch()
        .map_err(DemoError::system("watch for signals"))
        .map_err(failure)?;
    let result = run_steps(arguments, console, &interrupt);
    let kept = arguments.keep && result.is_ok();
    if interrupt.arrived() && !kept {
        console.note("interrupted; everything was removed");
        interrupt.end_process();
    }
    result.map_err(failure)
}

fn run_steps(
    arguments: &DemoArguments,
    console: &mut Console<'_>,
    interrupt: &Interrupt,
) -> Result<Exit, DemoError> {
    let tools = Tools::find(arguments.cni_bin_dir.as_deref())?;
    if arguments.keep {
        keep::refuse_second()?;
    }
    let mut report = Report::new(console, arguments.output);
    let sidecar = Sidecar::of(arguments.mesh);
    steps::run(&tools, sidecar, arguments.keep, &mut report, interrupt)?;
    report.finish()?;
    Ok(if report.as_expected() {
        Exit::Done
    } else {
        Exit::No
    })
}

fn clean_up(console: &mut Console<'_>) -> Result<Exit, Failure> {
    match keep::clean_up().map_err(failure)? {
        0 => console.line("no demo is running")?,
        count => console.line(format_args!("demo removed, {count} processes killed"))?,
    }
    Ok(Exit::Done)
}

fn failure(error: DemoError) -> Failure {
    let error = match error {
        DemoError::Output(error) => return error.into(),
        error => error,
    };
    let hint = error.hint();
    let failure = Failure::environment(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
