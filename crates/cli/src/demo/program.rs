//! Runs a program in a network namespace, with a time limit that a signal interrupts.

use std::process::{Command, ExitStatus};

use mesh_cni_netns::NetNs;
use mesh_cni_netns::program::{self, RunLimits, Stdin};

use super::error::DemoError;
use super::wait::Wait;

/// A program that has exited.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs it with this input, in its own process group: Ctrl-C only interrupts the demo.
pub(crate) fn run(
    netns: &NetNs,
    command: Command,
    input: &str,
    wait: Wait<'_>,
) -> Result<Finished, DemoError> {
    // Without input stdin stays open, because the demo's own programs exit when it closes.
    let stdin = match input {
        "" => Stdin::Open,
        text => Stdin::Text(text),
    };
    let mut limits = RunLimits::default();
    limits.time = wait.limit();
    let finished =
        netns.run(|| program::run(command, stdin, limits, || wait.is_interrupted()))??;
    Ok(Finished {
        status: finished.status,
        stdout: text(&finished.stdout),
        stderr: text(&finished.stderr),
    })
}

impl Finished {
    /// An error if the program failed, with its output.
    pub(crate) fn successful(self, program: &str) -> Result<Self, DemoError> {
        if self.status.success() {
            return Ok(self);
        }
        let output = format!("{} {}", self.stdout, self.stderr);
        Err(DemoError::Failed {
            program: program.to_owned(),
            status: self.status,
            output: output.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
