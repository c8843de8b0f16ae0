//! Shell completions and manual pages, generated from the commands.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::flags::{Arguments, NAME};

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    print(&match shell {
        // The generator writes the program's hyphens in two ways, so that no command would be found.
        Shell::Bash => script
            .replace("mesh__subcmd__cni__subcmd__agent", "mesh__cni__agent")
            .into(),
        // The generator leaves out the values of arguments that are not flags.
        Shell::Fish => {
            let shells = Shell::value_variants().iter().map(ToString::to_string);
            let shells = shells.collect::<Vec<_>>().join(" ");
            let condition = "__fish_mesh_cni_agent_using_subcommand completions";
            format!("{script}complete -c {NAME} -n \"{condition}\" -f -a \"{shells}\"\n").into()
        }
        _ => script,
    })
}

/// Prints the program's manual page, or writes one for the program and one for each command.
pub(crate) fn man(directory: Option<&Path>) -> Result<ExitCode, Failure> {
    if let Some(directory) = directory {
        clap_mangen::generate_to(Arguments::command(), directory)
            .map_err(|error| Failure::manual(directory, &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command().disable_help_subcommand(true))
        .render(&mut page)
        .map_err(|error| Failure::stdout(&error))?;
    print(&String::from_utf8_lossy(&page))
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::stdout(&error))?;
    Ok(ExitCode::SUCCESS)
}
