//! Runs a program in a network namespace, with a time limit.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mesh_cni_netns::NetNs;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::DemoError;
use super::wait::Wait;

/// A program that has exited.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Kills and reaps the program if it still runs.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Also kills its children, which are in its process group. Fails only if it has exited.
        if let Ok(None) = self.0.try_wait() {
            let _killed = killpg(pid(&self.0), Signal::SIGKILL);
        }
        let _reaped = self.0.wait();
    }
}

/// Runs it with this input, in its own process group: Ctrl-C only interrupts the demo.
pub(crate) fn run(
    netns: &NetNs,
    mut command: Command,
    input: &str,
    wait: Wait<'_>,
) -> Result<Finished, DemoError> {
    let program = name(&command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let spawned = netns.run(move || command.spawn())?;
    let mut running = Running(spawned.map_err(DemoError::system(format!("start `{program}`")))?);
    // Without input stdin stays open, because the demo's own programs exit when it closes.
    if !input.is_empty()
        && let Some(mut stdin) = running.0.stdin.take()
    {
        // A program that does not read its input reports an error itself.
        let _written = stdin.write_all(input.as_bytes());
    }
    let outputs = (
        read_to_end(running.0.stdout.take()),
        read_to_end(running.0.stderr.take()),
    );
    let failed = |source| DemoError::Wait {
        program: program.clone(),
        source,
    };
    let stdout = wait.receive(&outputs.0).map_err(failed)?;
    let stderr = wait.receive(&outputs.1).map_err(failed)?;
    let status = running.0.wait();
    Ok(Finished {
        status: status.map_err(DemoError::system(format!("wait for `{program}`")))?,
        stdout,
        stderr,
    })
}

/// The process ID of a child that is not reaped yet.
pub(crate) fn pid(child: &Child) -> Pid {
    let raw = i32::try_from(child.id()).expect("process ids fit into pid_t");
    Pid::from_raw(raw)
}

/// The program's file name, for errors.
fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
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

fn read_to_end(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // The output before a read error is used.
            let _read = stream.read_to_end(&mut bytes);
        }
        // Fails after the time limit.
        let _sent = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
