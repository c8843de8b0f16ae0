//! Programs that run beside a test: ended with it whatever happens to it, and waited for by events.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::changes::{BREATH, Changes};

/// A running program, with everything that it says in a file. It is killed with this value, and by
/// the kernel where the test's own process is killed.
#[derive(Debug)]
pub struct Process {
    bound: Bound,
    name: String,
    log: PathBuf,
    enclosed: bool,
}

/// A child that the kernel kills when this value's process is gone.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) child: Child,
    // The kernel ends the child when the thread that started it ends: that thread waits for this
    // end to be dropped.
    _keep: Sender<()>,
}

impl Bound {
    /// Starts the command; panics where it cannot be started.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let what = command.get_program().display().to_string();
        let (started, starting) = mpsc::channel();
        let (keep, dropped) = mpsc::channel::<()>();
        thread::spawn(move || {
            let sent = started.send(command.spawn());
            drop((sent, dropped.recv()));
        });
        let child = starting.recv().expect("the starting thread answers");
        let child = child.unwrap_or_else(|error| panic!("{what}: {error}: run `make test`"));
        Self { child, _keep: keep }
    }

    pub(crate) fn pid(&self) -> Pid {
        let number = self.child.id().try_into();
        Pid::from_raw(number.expect("the kernel numbers processes with 31 bits"))
    }

    /// The first child of that child.
    pub(crate) fn inner_pid(&self) -> Option<Pid> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let first = children.split_whitespace().next()?.parse().ok()?;
        Some(Pid::from_raw(first))
    }
}

impl Process {
    /// Starts it; its output is added to `log`.
    pub fn start(command: &Command, log: &Path) -> Self {
        let file = File::options().append(true).create(true).open(log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut bound = bound_to_us(command);
        let twin = file.try_clone().expect("a descriptor can be doubled");
        bound.stdin(Stdio::null()).stdout(twin).stderr(file);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        Self {
            bound: Bound::spawn(bound),
            enclosed: words[0] == "nsenter",
            name: words.join(" "),
            log: log.to_owned(),
        }
    }

    /// Starts it, and waits until it says that it is ready, as programs say it to systemd.
    ///
    /// `socket` is a free path at which it is listened for that word.
    pub fn start_ready(command: &mut Command, log: &Path, socket: &Path, most: Duration) -> Self {
        drop(fs::remove_file(socket));
        let listener = UnixDatagram::bind(socket).expect("the socket's path is free");
        listener
            .set_read_timeout(Some(BREATH))
            .expect("a timeout above zero is taken");
        command.env("NOTIFY_SOCKET", socket);
        let mut process = Self::start(command, log);
        let deadline = Instant::now() + most;
        while !is_ready(&listener) {
            process.assert_alive("before it was ready");
            process.assert_time(deadline, "was not ready");
        }
        process
    }

    /// Its number, as this test's process sees it.
    pub fn pid(&self) -> Pid {
        let inner = self.enclosed.then(|| self.bound.inner_pid()).flatten();
        inner.unwrap_or(self.bound.pid())
    }

    /// Asks `probe` now, and again whenever the program has said more, until there is an answer.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        most: Duration,
        mut probe: impl FnMut() -> Option<T>,
    ) -> T {
        let words = Changes::of(&self.log);
        let deadline = Instant::now() + most;
        loop {
            if let Some(answer) = probe() {
                return answer;
            }
            self.assert_alive(what);
            self.assert_time(deadline, what);
            words.wait();
        }
    }

    /// Stops its clock: it keeps its connections and answers nobody.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Undoes [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.bound.child.wait().expect("a child can be waited for")
    }

    /// The last words that it said.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|errno| panic!("{}: {errno}", self.name));
    }

    fn assert_alive(&mut self, when: &str) {
        let status = self
            .bound
            .child
            .try_wait()
            .expect("a child can be asked for");
        if let Some(status) = status {
            panic!(
                "{} ended ({status}) {when}:\n{}",
                self.name,
                self.last_words()
            );
        }
    }

    fn assert_time(&self, deadline: Instant, what: &str) {
        assert!(
            Instant::now() < deadline,
            "{}: {what} in time:\n{}",
            self.name,
            self.last_words()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended may have left its number to another.
        if matches!(self.bound.child.try_wait(), Ok(None)) {
            // Who entered an enclosure waits for its child, which must go first.
            kill(self.pid(), Signal::SIGKILL).unwrap_or_default();
            drop(self.bound.child.wait());
        }
    }
}

/// The same command, run so that the kernel kills it when its starting thread is gone.
pub(crate) fn bound_to_us(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]);
    bound.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        bound.current_dir(directory);
    }
    bound
}

fn is_ready(listener: &UnixDatagram) -> bool {
    let mut words = [0; 256];
    let length = listener.recv(&mut words).unwrap_or(0);
    words[..length]
        .split(|byte| *byte == b'\n')
        .any(|word| word == b"READY=1")
}
