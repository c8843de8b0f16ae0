//! Running a program to its end, in a namespace, within a deadline.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mesh_cni_netns::NetNs;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::DemoError;
use super::patience::Patience;

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Kills and reaps what was not waited for.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already; what it started is in its group.
        if let Ok(None) = self.0.try_wait() {
            let _killed = killpg(pid(&self.0), Signal::SIGKILL);
        }
        let _reaped = self.0.wait();
    }
}

/// Runs it with this input; in its own process group, so that Ctrl-C reaches the demo alone.
pub(crate) fn run(
    netns: &NetNs,
    mut command: Command,
    input: &str,
    patience: Patience<'_>,
) -> Result<Finished, DemoError> {
    let program = name(&command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let spawned = netns.run(move || command.spawn())?;
    let start = DemoError::system(format!("start `{program}`"));
    let mut running = Running(spawned.map_err(start)?);
    // Where there is nothing to read, stdin stays open: our own programs end with it.
    if !input.is_empty()
        && let Some(mut stdin) = running.0.stdin.take()
    {
        // A program that does not read its input says itself what is wrong.
        let _written = stdin.write_all(input.as_bytes());
    }
    let outputs = (
        read_to_end(running.0.stdout.take()),
        read_to_end(running.0.stderr.take()),
    );
    let waiting = |source| DemoError::Waiting {
        program: program.clone(),
        source,
    };
    let stdout = patience.receive(&outputs.0).map_err(waiting)?;
    let stderr = patience.receive(&outputs.1).map_err(waiting)?;
    let wait = DemoError::system(format!("wait for `{program}`"));
    Ok(Finished {
        status: running.0.wait().map_err(wait)?,
        stdout,
        stderr,
    })
}

/// The number of a process that was not waited for yet.
pub(crate) fn pid(child: &Child) -> Pid {
    let raw = i32::try_from(child.id()).expect("process ids fit into pid_t");
    Pid::from_raw(raw)
}

/// The program's file name, for messages.
fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

impl Finished {
    /// The same, or what it said where it failed.
    pub(crate) fn successful(self, program: &str) -> Result<Self, DemoError> {
        if self.status.success() {
            return Ok(self);
        }
        let said = format!("{} {}", self.stdout.trim(), self.stderr.trim());
        Err(DemoError::Ended {
            program: program.to_owned(),
            status: self.status,
            said: said.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }
}

fn read_to_end(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is told as well.
            let _read = stream.read_to_end(&mut bytes);
        }
        // Nobody listens any more after a deadline.
        let _sent = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
