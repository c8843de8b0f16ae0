//! The program as a plugin of kubectl, which starts it under another name.

use std::env;
use std::path::{Path, PathBuf};

use clap::FromArgMatches;

use crate::arguments::{Arguments, NAME};

/// The name of the program that kubectl starts for [`COMMAND`].
const PROGRAM: &str = "kubectl-mesh_cni";
const COMMAND: &str = "kubectl mesh-cni";

/// Parses the arguments of this process. Usage and examples name the program as it was started.
pub(crate) fn arguments() -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command_for(env::args_os().skip(1));
    let started_as = env::args_os().next().map(PathBuf::from);
    if started_as.as_deref().and_then(Path::file_stem) == Some(PROGRAM.as_ref()) {
        command = with_examples(command)
            .bin_name(COMMAND)
            .mut_subcommands(with_examples);
    }
    Arguments::from_arg_matches(&command.try_get_matches()?)
}

/// The command with examples for kubectl.
fn with_examples(command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    command.after_help(help.unwrap_or_default().replace(NAME, COMMAND))
}
