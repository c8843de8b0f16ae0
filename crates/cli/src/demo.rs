//! `demo`: a pod on this machine whose traffic goes through its proxy, from the runtime's call to
//! the documented dump. What it makes lives in namespaces of its own and ends with it.

pub(crate) mod actor;
mod child;
mod dump;
mod error;
mod keep;
mod node;
mod patience;
mod play;
mod pod;
mod program;
mod requests;
mod runtime;
mod story;
mod tools;

use crate::arguments::DemoArguments;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use error::DemoError;
use patience::Interrupt;
use play::Ending;
use story::Story;
use tools::Tools;

/// Plays the demo, or ends one that was kept.
pub(crate) fn run(arguments: &DemoArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if arguments.cleanup {
        return clean_up(console);
    }
    let watched = Interrupt::watch().map_err(DemoError::system("watch for signals"));
    let interrupt = watched.map_err(failure)?;
    let outcome = perform(arguments, console, &interrupt);
    let kept = arguments.keep && outcome.is_ok();
    if interrupt.came() && !kept {
        console.note("interrupted; nothing of the demo is left");
        interrupt.end_as_it_would_have();
    }
    outcome.map_err(failure)
}

fn perform(
    arguments: &DemoArguments,
    console: &mut Console<'_>,
    interrupt: &Interrupt,
) -> Result<Exit, DemoError> {
    let tools = Tools::find(arguments.cni_bin_dir.as_deref())?;
    let ending = if arguments.keep {
        keep::refuse_second()?;
        Ending::Keep
    } else {
        Ending::Clear
    };
    let mut story = Story::new(console, arguments.output);
    play::play(&tools, ending, &mut story, interrupt)?;
    story.end()?;
    Ok(if story.as_expected() {
        Exit::Done
    } else {
        Exit::No
    })
}

fn clean_up(console: &mut Console<'_>) -> Result<Exit, Failure> {
    let ended = keep::clean_up().map_err(failure)?;
    match ended {
        0 => console.line("no demo was left running")?,
        count => console.line(format_args!("the demo is gone: {count} processes ended"))?,
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
