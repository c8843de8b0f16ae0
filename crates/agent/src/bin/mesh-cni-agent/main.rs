//! The door of `mesh-cni-agent`: flags in, steps on stdout, errors on stderr, an exit code out.

#![forbid(unsafe_code)]

mod agent;
mod flags;
mod report;

use std::process::ExitCode;

use clap::Parser;
use mesh_cni_installer::{Installation, Settings, install, status, uninstall};

use flags::Run;
use flags::{Agent, Command, Install, StatusFlags, Uninstall};
use report::{Failure, Report};

/// The answer is no.
const NO: u8 = 1;

fn main() -> ExitCode {
    let done = match Agent::parse().command {
        Command::Install(flags) => put_in(&flags),
        Command::Run(flags) => run(&flags),
        Command::Uninstall(flags) => take_out(&flags),
        Command::Status(flags) => tell_status(&flags),
    };
    done.unwrap_or_else(|failure| failure.tell())
}

fn put_in(flags: &Install) -> Result<ExitCode, Failure> {
    let settings = flags.settings()?;
    let mut report = Report::new(flags.output);
    warn_of_unknown(&settings);
    let outcome = install(&settings, flags.wait(), |event| report.tell(&event))?;
    report.end(&outcome)
}

fn run(flags: &Run) -> Result<ExitCode, Failure> {
    let settings = flags.settings()?;
    settings.install.iter().for_each(warn_of_unknown);
    match mesh_cni_agent::run(settings) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::environment(&error, error.remedy())),
    }
}

fn warn_of_unknown(settings: &Settings) {
    for field in settings.entry.unknown() {
        report::warn(&format!(
            "field `{field}` of the entry is not known to mesh-cni, which passes over it"
        ));
    }
}

fn take_out(flags: &Uninstall) -> Result<ExitCode, Failure> {
    let mut report = Report::new(flags.output);
    let outcome = uninstall(&flags.paths()?, &flags.uninstall_options(), |event| {
        report.tell(&event);
    })?;
    report.end(&outcome)
}

fn tell_status(flags: &StatusFlags) -> Result<ExitCode, Failure> {
    let plugin_binary = flags.plugin_binary.path()?;
    let plugin_binary = Some(plugin_binary.as_path()).filter(|path| path.is_file());
    let paths = flags.paths.paths()?;
    let status = status(&paths, flags.conf_name.name()?.as_ref(), plugin_binary)?;
    let agent = agent::Agent::ask(&paths.run_dir);
    report::status(flags.output, &status, &agent)?;
    let runs = agent.state().is_none_or(|(state, _)| state == "running");
    Ok(match status.installation {
        Installation::Installed if runs => ExitCode::SUCCESS,
        _ => ExitCode::from(NO),
    })
}
