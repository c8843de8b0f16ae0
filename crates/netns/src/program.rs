//! Runs a program of the host: passes its input, captures its output, and enforces limits.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;

/// How often a running program is checked for an interruption.
const TICK: Duration = Duration::from_millis(50);

/// The limits of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimits {
    /// How long it may run.
    pub time: Duration,
    /// How many bytes it may print to standard output, and how many to standard error.
    pub output: u64,
}

/// Why a program did not run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The system refused to start it or to wait for it.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("`{}` did not end within {seconds} seconds and was killed", program.display())]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// It printed too much and was killed.
    #[error("`{}` printed more than {bytes} bytes and was killed", program.display())]
    TooMuchOutput {
        /// The program.
        program: PathBuf,
        /// The limit.
        bytes: u64,
    },
    /// The caller interrupted it, and it was killed.
    #[error("`{}` was interrupted and killed", program.display())]
    Interrupted {
        /// The program.
        program: PathBuf,
    },
}

/// A program that has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// The standard input of a program.
#[derive(Clone, Copy, Debug)]
pub enum Stdin<'text> {
    /// This text.
    Text(&'text str),
    /// A pipe without data that stays open until the program has ended.
    Open,
}

enum Failure {
    Io(io::Error),
    TimedOut,
    TooMuchOutput,
    Interrupted,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            output: 16 * 1024 * 1024,
        }
    }
}

/// Runs the program to its end, in a process group of its own. If a limit is exceeded or
/// `interrupted` returns true, the whole group is killed.
pub fn run(
    mut command: Command,
    stdin: Stdin<'_>,
    limits: RunLimits,
    interrupted: impl Fn() -> bool,
) -> Result<Finished, ProgramError> {
    let program = PathBuf::from(command.get_program());
    start(&mut command, stdin)
        .map_err(Failure::Io)
        .and_then(|mut child| {
            wait(&mut child, limits, interrupted).inspect_err(|_| kill(&mut child))
        })
        .map_err(|failure| match failure {
            Failure::Io(source) => ProgramError::Run { program, source },
            Failure::TimedOut => ProgramError::TimedOut {
                program,
                seconds: limits.time.as_secs(),
            },
            Failure::TooMuchOutput => ProgramError::TooMuchOutput {
                program,
                bytes: limits.output,
            },
            Failure::Interrupted => ProgramError::Interrupted { program },
        })
}

/// The input is in a file before the program starts, so neither process waits for the other.
fn start(command: &mut Command, stdin: Stdin<'_>) -> io::Result<Child> {
    let stdin = match stdin {
        Stdin::Open => Stdio::piped(),
        Stdin::Text(text) => {
            let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?);
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            file.into()
        }
    };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn wait(
    child: &mut Child,
    limits: RunLimits,
    interrupted: impl Fn() -> bool,
) -> Result<Finished, Failure> {
    let deadline = Instant::now() + limits.time;
    let stdin = child.stdin.take();
    let mut streams = [
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
    ]
    .map(|stream| stream.map(File::from));
    let mut outputs = [Vec::new(), Vec::new()];
    while streams.iter().any(Option::is_some) {
        if interrupted() {
            return Err(Failure::Interrupted);
        }
        for at in readable(&streams, deadline)? {
            read_some(&mut streams[at], &mut outputs[at], limits.output)?;
        }
    }
    // Both streams are closed, so the program has ended or is about to end.
    let status = child.wait().map_err(Failure::Io)?;
    drop(stdin);
    let [stdout, stderr] = outputs;
    Ok(Finished {
        status,
        stdout,
        stderr,
    })
}

/// The indexes of the streams that can be read, after one [`TICK`] at most.
fn readable(streams: &[Option<File>], deadline: Instant) -> Result<Vec<usize>, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::MAX);
    let (open, mut polled): (Vec<_>, Vec<_>) = streams
        .iter()
        .enumerate()
        .filter_map(|(at, stream)| {
            let stream = stream.as_ref()?;
            Some((at, PollFd::new(stream.as_fd(), PollFlags::POLLIN)))
        })
        .unzip();
    match poll(&mut polled, timeout) {
        Ok(0) if left.is_zero() => Err(Failure::TimedOut),
        Ok(_) => {
            let polled = open.into_iter().zip(&polled);
            let ready = polled.filter(|(_, stream)| stream.any().unwrap_or(true));
            Ok(ready.map(|(at, _)| at).collect())
        }
        Err(nix::errno::Errno::EINTR) => Ok(Vec::new()),
        Err(errno) => Err(Failure::Io(errno.into())),
    }
}

/// Reads the available output. A stream at its end becomes `None`.
fn read_some(stream: &mut Option<File>, output: &mut Vec<u8>, limit: u64) -> Result<(), Failure> {
    let Some(open) = stream else { return Ok(()) };
    let mut buffer = [0; 16 * 1024];
    let count = open.read(&mut buffer).map_err(Failure::Io)?;
    if count == 0 {
        *stream = None;
    }
    output.extend_from_slice(&buffer[..count]);
    if output.len() as u64 > limit {
        return Err(Failure::TooMuchOutput);
    }
    Ok(())
}

fn kill(child: &mut Child) {
    // Killing fails only if the group has ended already.
    if let Ok(group) = i32::try_from(child.id()) {
        let _killed = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _status = child.wait();
}
