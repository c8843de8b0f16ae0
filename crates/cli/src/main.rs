//! mesh-cnictl: the door for people. Results go to stdout, words to stderr, and the exit code says
//! how it went: 0 done, 1 the answer is no, 2 wrong use or bad input, 3 the environment failed.
#![forbid(unsafe_code)]

mod agent;
mod arguments;
mod console;
mod demo;
mod documents;
mod explain;
mod failure;
mod init;
mod input;
mod live;
mod render;
mod select;
mod status;
mod verify;

use std::env;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use console::Console;
use demo::actor::{self, ACTOR, Role};
use failure::{Exit, Failure};

fn main() -> ExitCode {
    let is_actor = env::args_os().nth(1).is_some_and(|first| first == ACTOR);
    if is_actor {
        return with(Role::try_parse_from(env::args_os().skip(1)), actor::play);
    }
    with(Arguments::try_parse(), |arguments, console| {
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
    match work(&arguments, &mut console) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.tell(&mut console);
            failure.exit().into()
        }
    }
}

fn run(command: &Command, console: &mut Console<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Select(arguments) => select::run(arguments, console),
        Command::Render(arguments) => render::run(arguments, console),
        Command::Explain(arguments) => explain::run(arguments, console),
        Command::Verify(arguments) => verify::run(arguments, console),
        Command::Init(flags) => init::run(flags, console),
        Command::Status(arguments) => status::run(arguments, console),
        Command::Demo(arguments) => demo::run(arguments, console),
        Command::Completions { shell } => documents::completions(*shell, console),
        Command::Man => documents::man(console),
    }
}

/// Help and version are results; everything else that clap says is about wrong use.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell where even this cannot be written.
    let _written = error.print();
    if error.use_stderr() {
        Exit::Wrong.into()
    } else {
        Exit::Done.into()
    }
}
