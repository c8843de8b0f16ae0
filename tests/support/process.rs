//! Programs that run during a test, are always killed with it, and are waited for with events.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::file_changes::{CHECK_INTERVAL, FileChanges};

/// A running program with its output in a file. Dropping the value kills it; if the test's process is
/// killed, the kernel kills it.
#[derive(Debug)]
pub struct Process {
    bound: BoundChild,
    name: String,
    log: PathBuf,
    in_isolated_host: bool,
}

/// A child process that the kernel kills if this process exits.
#[derive(Debug)]
pub(crate) struct BoundChild {
    pub(crate) child: Child,
    // The kernel kills the child when the thread that started it exits. That thread runs until this
    // sender is dropped.
    _keep: Sender<()>,
}

impl BoundChild {
    /// Starts the command; panics on failure.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let what = command.get_program().display().to_string();
        let (started, starting) = mpsc::channel();
        let (keep, dropped) = mpsc::channel::<()>();
        thread::spawn(move || {
            let sent = started.send(command.spawn());
            drop((sent, dropped.recv()));
        });
        let child = starting.recv().expect("the thread sends the child");
        let child = child.unwrap_or_else(|error| panic!("{what}: {error}: run `make test`"));
        Self { child, _keep: keep }
    }

    pub(crate) fn pid(&self) -> Pid {
        let number = self.child.id().try_into();
        Pid::from_raw(number.expect("process ids have 31 bits"))
    }

    /// The first child of the child.
    pub(crate) fn inner_pid(&self) -> Option<Pid> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let first = children.split_whitespace().next()?.parse().ok()?;
        Some(Pid::from_raw(first))
    }
}

impl Process {
    /// Starts a program and appends its output to `log`.
    pub fn start(command: &Command, log: &Path) -> Self {
        let file = File::options().append(true).create(true).open(log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut bound = killed_with_parent(command);
        let copy = file.try_clone().expect("a descriptor can be duplicated");
        bound.stdin(Stdio::null()).stdout(copy).stderr(file);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        Self {
            bound: BoundChild::spawn(bound),
            in_isolated_host: words[0] == "nsenter",
            name: words.join(" "),
            log: log.to_owned(),
        }
    }

    /// Starts a program, and waits until it notifies its readiness with the protocol of `sd_notify`.
    ///
    /// `socket` is the path for the notification socket.
    pub fn start_ready(
        command: &mut Command,
        log: &Path,
        socket: &Path,
        timeout: Duration,
    ) -> Self {
        drop(fs::remove_file(socket));
        let listener = UnixDatagram::bind(socket).expect("the socket's path is free");
        listener
            .set_read_timeout(Some(CHECK_INTERVAL))
            .expect("the timeout is not zero");
        command.env("NOTIFY_SOCKET", socket);
        let mut process = Self::start(command, log);
        let deadline = Instant::now() + timeout;
        while !is_ready(&listener) {
            process.assert_running("before it was ready");
            process.assert_in_time(deadline, "was not ready");
        }
        process
    }

    /// Its process id, as this process sees it.
    pub fn pid(&self) -> Pid {
        let inner = self
            .in_isolated_host
            .then(|| self.bound.inner_pid())
            .flatten();
        inner.unwrap_or(self.bound.pid())
    }

    /// Calls `probe` now, and again after each output of the program, until it returns a value.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut probe: impl FnMut() -> Option<T>,
    ) -> T {
        let changes = FileChanges::of(&self.log);
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(value) = probe() {
                return value;
            }
            self.assert_running(what);
            self.assert_in_time(deadline, what);
            changes.wait();
        }
    }

    /// Waits until it exits without a signal.
    pub fn wait_for_exit(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            self.assert_in_time(deadline, "the exit");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Pauses it: it keeps its connections, but does not respond.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Undoes [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends SIGTERM, and waits until it exits.
    pub fn end(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.bound.child.wait().expect("a child can be waited for")
    }

    /// Sends SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // After it exited, another process may have its id.
        if matches!(self.bound.child.try_wait(), Ok(None)) {
            // `nsenter` waits for its child, which must be killed first.
            kill(self.pid(), Signal::SIGKILL).unwrap_or_default();
            drop(self.bound.child.wait());
        }
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|errno| panic!("{}: {errno}", self.name));
    }

    /// The status with which it exited; `None` while it runs.
    fn exit_status(&mut self) -> Option<ExitStatus> {
        let status = self.bound.child.try_wait();
        status.expect("the status of a child can be read")
    }

    fn assert_running(&mut self, when: &str) {
        if let Some(status) = self.exit_status() {
            panic!(
                "{} exited ({status}) {when}:\n{}",
                self.name,
                self.log_tail()
            );
        }
    }

    fn assert_in_time(&self, deadline: Instant, what: &str) {
        assert!(
            Instant::now() < deadline,
            "{}: {what} in time:\n{}",
            self.name,
            self.log_tail()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Wraps the command so that the kernel kills it when the thread that started it exits.
pub(crate) fn killed_with_parent(command: &Command) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "KILL", "--"]);
    run_by(setpriv, command)
}

/// Adds the command to the arguments of a program that executes it.
pub(crate) fn run_by(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapper.current_dir(directory);
    }
    wrapper
}

fn is_ready(listener: &UnixDatagram) -> bool {
    let mut words = [0; 256];
    let length = listener.recv(&mut words).unwrap_or(0);
    words[..length]
        .split(|byte| *byte == b'\n')
        .any(|word| word == b"READY=1")
}
