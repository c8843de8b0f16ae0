//! Shell completions and the manual page, generated from the commands.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mesh-cnictl", &mut script);
    console.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints the manual: a page for the program, and one for each command.
pub(crate) fn man(console: &mut Console<'_>) -> Result<Exit, Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for shown in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        clap_mangen::Man::new(shown.clone()).render(&mut page)?;
    }
    console.result(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}
