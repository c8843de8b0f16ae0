//! The demo's own long-lived processes, seen from the demo.
//!
//! Each is this same program in another role. It lives as long as its stdin is open, so none
//! outlives the demo, however that ends; only where it is told `keep` does it stay.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mesh_cni_netns::NetNs;
use nix::unistd::Pid;

use super::actor::{ACTOR, KEEP, READY, REPORT};
use super::error::DemoError;
use super::patience::Patience;
use super::program;

/// As whom a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) u32);

/// A running process of the demo.
#[derive(Debug)]
pub(crate) struct Process {
    /// What it plays.
    pub(crate) role: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    kept: bool,
}

impl Owner {
    pub(crate) const ROOT: Self = Self(0);
    pub(crate) const APP: Self = Self(1000);
    pub(crate) const PROXY: Self = Self(1337);

    /// This program in one of its roles, as that user and group and in no other.
    pub(crate) fn command(self, arguments: &[&str]) -> Command {
        // By this path it starts whatever the folders above its file allow.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("mesh-cnictl").arg(ACTOR).args(arguments);
        command.uid(self.0).gid(self.0);
        command.env_clear().current_dir("/");
        command
    }
}

impl Process {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(
        netns: &NetNs,
        owner: Owner,
        arguments: &[&str],
        patience: Patience<'_>,
    ) -> Result<Self, DemoError> {
        let role = arguments.first().copied().unwrap_or_default().to_owned();
        let mut command = owner.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let spawned = netns.run(move || command.spawn())?;
        let mut child = spawned.map_err(DemoError::system(format!("start `{role}`")))?;
        let process = Self {
            role,
            stdin: child.stdin.take(),
            lines: lines(&mut child),
            child,
            kept: false,
        };
        match process.line(patience)?.as_str() {
            READY => Ok(process),
            said => Err(process.unreadable(said)),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        program::pid(&self.child)
    }

    /// What it has to report since it was last asked.
    pub(crate) fn report(&self, patience: Patience<'_>) -> Result<String, DemoError> {
        self.tell(REPORT)?;
        self.line(patience)
    }

    /// Lets it live on behind the demo.
    pub(crate) fn keep(&mut self) -> Result<(), DemoError> {
        self.tell(KEEP)?;
        self.kept = true;
        Ok(())
    }

    /// It said something, but not this.
    pub(crate) fn unreadable(&self, said: &str) -> DemoError {
        DemoError::Unreadable {
            program: self.role.clone(),
            said: said.to_owned(),
        }
    }

    fn tell(&self, word: &str) -> Result<(), DemoError> {
        let tell = DemoError::system(format!("speak to `{}`", self.role));
        let mut stdin = self
            .stdin
            .as_ref()
            .expect("its stdin was asked to be a pipe");
        writeln!(stdin, "{word}").map_err(tell)
    }

    fn line(&self, patience: Patience<'_>) -> Result<String, DemoError> {
        patience
            .receive(&self.lines)
            .map_err(|source| DemoError::Waiting {
                program: self.role.clone(),
                source,
            })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.kept {
            // Both fail only where it has ended already.
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
