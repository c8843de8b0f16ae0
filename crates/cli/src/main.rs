//! mesh-cnictl: the command line for people. Results go to stdout, messages to stderr. Exit codes:
//! 0 done, 1 the answer is no, 2 wrong use or bad input, 3 the environment failed.
#![forbid(unsafe_code)]

mod agent;
mod arguments;
mod bundle;
mod case;
mod check;
mod cluster;
mod console;
mod demo;
mod diff;
mod documents;
mod effect;
mod explain;
mod failure;
mod init;
mod input;
mod kubectl_plugin;
mod live;
mod named_pod;
mod nearest;
mod node_conf;
mod pod_source;
mod pods;
mod render;
#[cfg(all(test, feature = "schema"))]
mod schemas;
mod select;
mod status;
mod verify;
mod version;

use std::env;
use std::process::ExitCode;

use clap::Parser;

use arguments::Command;
use console::Console;
use demo::workload::{self, COMMAND, Workload};
use failure::{Exit, Failure};

fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|first| first == COMMAND) {
        let workload = Workload::try_parse_from(env::args_os().skip(1));
        return with(workload, workload::run);
    }
    with(kubectl_plugin::arguments(), |arguments, console| {
        run(&arguments.command, console)
    })
}

fn with<T>(
    parsed: Result<T, clap::Error>,
    work: impl FnOnce(&T, &mut Console<'_>) -> Result<Exit, Failure>,
) -> ExitCode {
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let (mut stdout, mut stderr) = (anstream::stdout(), anstream::stderr());
    let mut console = Console::new(&mut stdout, &mut stderr);
    let exit = work(&arguments, &mut console).unwrap_or_else(|failure| {
        failure.print(&mut console);
        failure.exit()
    });
    console.print_later();
    exit.into()
}

fn run(command: &Command, console: &mut Console<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Select(arguments) => select::run(arguments, console),
        Command::Render(arguments) => render::run(arguments, console),
        Command::Explain(arguments) => explain::run(arguments, console),
        Command::Verify(arguments) => verify::run(arguments, console),
        Command::Diff(arguments) => diff::run(arguments, console),
        Command::Init(flags) => init::run(flags, console),
        Command::Status(arguments) => status::run(arguments, console),
        Command::Check(arguments) => check::run(arguments, console),
        Command::Bundle(arguments) => bundle::run(arguments, console),
        Command::Pods(arguments) => pods::run(arguments, console),
        Command::Demo(arguments) => demo::run(arguments, console),
        Command::Completions { shell } => documents::completions(*shell, console),
        Command::Version(arguments) => version::run(arguments, console),
        Command::Man { dir } => documents::man(dir.as_deref(), console),
    }
}

/// Prints help and version as results, and every other clap error as wrong use.
fn usage(error: &clap::Error) -> ExitCode {
    // If stderr cannot be written either, only the exit code remains.
    let _written = error.print();
    if error.use_stderr() {
        Exit::Wrong.into()
    } else {
        Exit::Done.into()
    }
}
