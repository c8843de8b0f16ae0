//! Shell completions and manual pages, generated from the commands.

use std::path::Path;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::arguments::{Arguments, NAME};
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::all_flags(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    console.result(&match shell {
        // The generator writes the program's hyphen in two ways, so that no command would be found.
        Shell::Bash => script
            .replace("mesh__subcmd__cnictl", "mesh__cnictl")
            .into(),
        // The generator leaves out the values of arguments that are not flags.
        Shell::Fish => {
            let shells = Shell::value_variants().iter().map(ToString::to_string);
            let shells = shells.collect::<Vec<_>>().join(" ");
            let condition = "__fish_mesh_cnictl_using_subcommand completions";
            format!("{script}complete -c {NAME} -n \"{condition}\" -f -a \"{shells}\"\n").into()
        }
        _ => script,
    })?;
    Ok(Exit::Done)
}

/// Prints the program's manual page, or writes one for the program and one for each command.
pub(crate) fn man(directory: Option<&Path>, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if let Some(directory) = directory {
        let written = clap_mangen::generate_to(Arguments::command(), directory).and_then(|()| {
            let linkerd = clap_mangen::Man::new(Arguments::linkerd_init());
            linkerd.generate_to(directory).map(drop)
        });
        written.map_err(|error| {
            Failure::environment(error)
                .about(format!("cannot write to `{}`", directory.display()))
                .hint("give --dir an existing directory, such as /usr/local/share/man/man1")
        })?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true)).render(&mut page)?;
    console.result(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}
