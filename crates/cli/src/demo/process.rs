//! Starts the demo's long-running processes, which run this program's workloads.
//!
//! A process exits when its stdin closes, so it ends with the demo, even if the demo is killed. Only
//! after the line `keep` does it run on.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mesh_cni_netns::NetNs;
use nix::unistd::Pid;

use super::error::DemoError;
use super::wait::Wait;
use super::workload::{COMMAND, KEEP, READY, REPORT};

/// The user and group ID of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) u32);

/// A running process of the demo.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) workload: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    kept: bool,
}

impl User {
    pub(crate) const ROOT: Self = Self(0);
    pub(crate) const APP: Self = Self(1000);

    /// A command that runs one of this program's workloads as that user and group.
    pub(crate) fn command(self, arguments: &[&str]) -> Command {
        // Works even if the user cannot access the directory of the program.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("mesh-cnictl").arg(COMMAND).args(arguments);
        command.uid(self.0).gid(self.0);
        command.env_clear().current_dir("/");
        command
    }
}

impl Process {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(
        netns: &NetNs,
        user: User,
        arguments: &[&str],
        wait: Wait<'_>,
    ) -> Result<Self, DemoError> {
        let workload = arguments.first().copied().unwrap_or_default().to_owned();
        let mut command = user.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let spawned = netns.run(move || command.spawn())?;
        let mut child = spawned.map_err(DemoError::system(format!("start `{workload}`")))?;
        let process = Self {
            workload,
            stdin: child.stdin.take(),
            lines: lines(&mut child),
            child,
            kept: false,
        };
        match process.line(wait)?.as_str() {
            READY => Ok(process),
            other => Err(process.unexpected(other)),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).expect("process IDs fit into pid_t");
        Pid::from_raw(pid)
    }

    /// Its report since the last one.
    pub(crate) fn report(&self, wait: Wait<'_>) -> Result<String, DemoError> {
        self.send(REPORT)?;
        self.line(wait)
    }

    /// Keeps it running after the demo.
    pub(crate) fn keep(&mut self) -> Result<(), DemoError> {
        self.send(KEEP)?;
        self.kept = true;
        Ok(())
    }

    pub(crate) fn unexpected(&self, output: &str) -> DemoError {
        DemoError::Unexpected {
            program: self.workload.clone(),
            output: output.to_owned(),
        }
    }

    fn send(&self, line: &str) -> Result<(), DemoError> {
        let mut stdin = self.stdin.as_ref().expect("stdin is a pipe");
        writeln!(stdin, "{line}")
            .map_err(DemoError::system(format!("write to `{}`", self.workload)))
    }

    fn line(&self, wait: Wait<'_>) -> Result<String, DemoError> {
        wait.receive(&self.lines).map_err(|source| DemoError::Wait {
            program: self.workload.clone(),
            source,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.kept {
            // Both fail only if it has exited.
            let _killed = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}
