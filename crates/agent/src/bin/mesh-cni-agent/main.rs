//! `mesh-cni-agent`: parses the flags, runs the command, and returns its exit code.

#![forbid(unsafe_code)]

mod agent_state;
mod documents;
mod failure;
mod flags;
mod json;
mod pods;
mod probe;
mod report;
#[cfg(all(test, feature = "schema"))]
mod schemas;

use std::process::ExitCode;

use clap::Parser;
use mesh_cni_installer::{Installation, Settings, install, status, uninstall};
use mesh_cni_plan::MeshConf;

use agent_state::AgentState;
use failure::Failure;
use flags::{Arguments, Command, Install, PodsFlags, Run, StatusFlags, Uninstall};
use report::StepPrinter;

/// The exit code of `status` if something is wrong.
const NO: u8 = 1;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Install(flags) => run_install(&flags),
        Command::Run(flags) => run_service(&flags),
        Command::Uninstall(flags) => run_uninstall(&flags),
        Command::Status(flags) => run_status(&flags),
        Command::Pods(flags) => run_pods(&flags),
        Command::Completions { shell } => documents::completions(shell),
        Command::Man { dir } => documents::man(dir.as_deref()),
    };
    result.unwrap_or_else(|failure| failure.print())
}

fn run_install(flags: &Install) -> Result<ExitCode, Failure> {
    let settings = flags.settings()?;
    let mut printer = StepPrinter::new(flags.output.output);
    warn_of_unknown_fields(&settings);
    let outcome = install(&settings, flags.wait(), |event| printer.event(&event))?;
    printer.finish(&outcome)
}

fn run_service(flags: &Run) -> Result<ExitCode, Failure> {
    let settings = flags.settings()?;
    settings.install.iter().for_each(warn_of_unknown_fields);
    match mesh_cni_agent::run(settings) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::environment(&error, error.remedy())),
    }
}

fn warn_of_unknown_fields(settings: &Settings) {
    for field in settings.entry.unknown() {
        report::warn(&format!(
            "mesh-cni does not know field `{field}` of the entry and ignores it"
        ));
    }
}

fn run_uninstall(flags: &Uninstall) -> Result<ExitCode, Failure> {
    let mut printer = StepPrinter::new(flags.output.output);
    let outcome = uninstall(&flags.paths()?, &flags.uninstall_options(), |event| {
        printer.event(&event);
    })?;
    printer.finish(&outcome)
}

fn run_status(flags: &StatusFlags) -> Result<ExitCode, Failure> {
    if let Some(probe) = flags.probe {
        let run_dir = flags.paths.paths()?.run_dir;
        return Ok(match probe::ask(&run_dir, probe) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                report::print_error(&why);
                ExitCode::from(NO)
            }
        });
    }
    let plugin_binary = flags.plugin_binary.path()?;
    let plugin_binary = Some(plugin_binary.as_path()).filter(|path| path.is_file());
    let paths = flags.paths.paths()?;
    let status = status(&paths, flags.conf_name.name()?.as_ref(), plugin_binary)?;
    let entry = status.entry.as_ref();
    let conf = entry.and_then(|entry| MeshConf::decode(entry).ok());
    let agent = AgentState::request(&paths.run_dir, conf.map(|decoded| decoded.conf.pod_source));
    report::print_status(flags.output.output, &status, &agent)?;
    Ok(match status.installation {
        Installation::Installed if agent.is_good() => ExitCode::SUCCESS,
        _ => ExitCode::from(NO),
    })
}

fn run_pods(flags: &PodsFlags) -> Result<ExitCode, Failure> {
    let list = pods::request(&flags.paths.paths()?.run_dir)?;
    report::print_pods(flags.output.output, &list)?;
    Ok(ExitCode::SUCCESS)
}
